"""What the repairs bought against what they cost: comparable runs together, as points and as a table."""

from __future__ import annotations

from dataclasses import dataclass

from core.evaluation import BASE, TradePoint, Units, composites, differences, points
from core.pipeline.evaluations import read_evaluation, read_units
from core.pipeline.runs import Run, runs
from core.values import Evaluation, Measure
from core.workspace import Workspace

FULL_SHARE = 0.999  # of the eligible rows: a run with (nearly) all of them is the full-data run
LENGTH = ("steps", "epochs")


@dataclass(frozen=True)
class TradeGroup:
    """Runs whose numbers may stand on one axis: same base, prompts, texts, scorer and protocol."""

    key: str  # of the base model's evaluation
    label: str
    base: Evaluation
    runs: tuple[Run, ...]


def trade_off(ws: Workspace, pool: str = "") -> list[TradeGroup]:
    """The evaluated runs (with rows of `pool`, if named), grouped by what makes them comparable."""
    groups: dict[str, list[Run]] = {}
    for run in runs(ws):
        if run.evaluation is not None and run.manifest.base_evaluation and pool in ("", run.manifest.pool):
            groups.setdefault(run.manifest.base_evaluation, []).append(run)
    found = []
    for key, members in groups.items():
        base = read_evaluation(ws, key)
        if base is not None:
            p = base.protocol
            rows = "" if base.split == "test" else f" ({base.split} rows)"
            label = f"{base.model} on {base.pool}{rows}: {p.name}, k = {p.samples}, scorer {base.scorer}"
            same = [r for r in members if not differences(base, _evaluated(r))]
            found.append(TradeGroup(key, label, base, tuple(same)))
    return found


def trade_points(ws: Workspace, group: TradeGroup, text: str = "") -> list[TradePoint]:
    """The group's base and runs in the plane, with intervals paired over the same prompts and documents."""
    return points(
        group.base, [(run.id, _evaluated(run)) for run in group.runs], units=_units(ws, group), text=text
    )


def run_composites(ws: Workspace, group: TradeGroup, run: Run) -> dict[str, Measure]:
    """TR, U, OPS, RPS and RES of one run (Winnow definition v1), against its full-data run, if any."""
    full = full_data_run(group, run)
    known = _units(ws, group)
    members = [BASE, run.id] + ([full.id] if full else [])
    return composites(
        group.base,
        _evaluated(run),
        _evaluated(full) if full else None,
        share=run.share,
        cost=run.cost(full) if full else None,
        units=[known[name] for name in members],
    )


def full_data_run(group: TradeGroup, run: Run) -> Run | None:
    """The group's run that did the same repair with all the rows `run` could choose from, or None.

    Of several the one with the same seed, else the newest.
    """
    found = [r for r in group.runs if r.share >= FULL_SHARE and _repair(r) == _repair(run)]
    same_seed = [r for r in found if r.manifest.spec.seed == run.manifest.spec.seed]
    return next(iter(same_seed + found), None)


def _repair(run: Run) -> tuple[object, ...]:
    """What two runs must share to differ in their rows only; more rows may well want more steps."""
    m = run.manifest
    params = {name: value for name, value in m.spec.params.items() if name not in LENGTH}
    return m.pool_fingerprint, m.eligible, m.model_hash, m.spec.method, params


def trade_off_text(ws: Workspace, group: TradeGroup) -> str:
    """The group as a table of plain text: every number with its interval."""
    base = group.base
    names = ("toxicity_mean", "emt", "tp", "perplexity", "bits_per_byte")
    head = ["model", "n", *names, *[f"ppl {t}" for t in list(base.texts)[1:]]]
    rows = [_row("base", base, names)] + [_row(r.label, _evaluated(r), names) for r in group.runs]
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([group.label, *lines])


def number(measure: Measure | None, digits: int = 3) -> str:
    """The value with its interval, or what stands in its place."""
    if measure is None or measure.value is None:
        return "n/a"
    interval = "" if measure.low is None else f" [{measure.low:.{digits}f}, {measure.high:.{digits}f}]"
    return f"{measure.value:.{digits}f}{interval}"


def _row(label: str, found: Evaluation, names: tuple[str, ...]) -> list[str]:
    shown = [number(found.metrics.get(name)) for name in names]
    others = [number(table.get("perplexity")) for table in list(found.texts.values())[1:]]
    return [label, f"{found.metrics[names[0]].n}", *shown, *others]


def _evaluated(run: Run) -> Evaluation:
    assert run.evaluation is not None  # a group holds evaluated runs only
    return run.evaluation


def _units(ws: Workspace, group: TradeGroup) -> dict[str, Units]:
    base = ws.find("evaluations", group.key)
    assert base is not None  # the group was made from it
    return {BASE: read_units(base)} | {run.id: read_units(run.folder) for run in group.runs}
