"""What the repairs bought against what they cost: comparable runs together, as points and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.evaluation import BASE, TradePoint, Units, composites, differences, points
from core.evaluation.metrics.composite import MAIN
from core.evaluation.tradeoff import all_measures
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
    """The evaluated runs (with rows of `pool`, if named), grouped by what makes them comparable.

    Runs measured on other request or LAMBADA sets stand in one group as long as toxicity and texts were
    measured alike; the group's base is the evaluation that tells most.
    """
    measured = [
        run
        for run in runs(ws)
        if run.evaluation is not None and run.manifest.base_evaluation and pool in ("", run.manifest.pool)
    ]
    keys = list(dict.fromkeys(run.manifest.base_evaluation for run in measured))
    known = [(key, base) for key in keys if (base := read_evaluation(ws, key)) is not None]
    groups: list[list[tuple[str, Evaluation]]] = []
    for key, base in sorted(known, key=lambda pair: -len(all_measures(pair[1]))):
        group = next((g for g in groups if _same_base(g[0][1], base)), None)
        if group is None:
            groups.append([(key, base)])
        else:
            group.append((key, base))
    found = [_group(group, measured) for group in groups]
    return _told_apart(sorted(found, key=lambda g: keys.index(g.key)))


def _same_base(one: Evaluation, other: Evaluation) -> bool:
    return one.model_hash == other.model_hash and not differences(one, other)


def _group(bases: list[tuple[str, Evaluation]], measured: Sequence[Run]) -> TradeGroup:
    """The runs beside one of the bases, in their order; the first base tells most."""
    key, base = bases[0]
    p = base.protocol
    rows = "" if base.split == "test" else f" ({base.split} rows)"
    label = f"{base.model} on {base.pool}{rows}: {p.name}, k = {p.samples}, scorer {base.scorer}"
    beside = {name for name, _ in bases}
    mine = [r for r in measured if r.manifest.base_evaluation in beside]
    return TradeGroup(key, label, base, tuple(r for r in mine if not differences(base, _evaluated(r))))


def _told_apart(groups: list[TradeGroup]) -> list[TradeGroup]:
    """The groups with labels of their own: where two would read alike, with what their numbers rest on."""
    labels = [group.label for group in groups]
    more = [f"{g.label}, texts {', '.join(g.base.texts) or 'none'}" for g in groups]
    kept = [m if labels.count(g.label) > 1 else g.label for g, m in zip(groups, more, strict=True)]
    kept = [
        f"{name} ({g.key[:8]})" if kept.count(name) > 1 else name
        for g, name in zip(groups, kept, strict=True)
    ]
    return [replace(group, label=label) for group, label in zip(groups, kept, strict=True)]


def trade_points(
    ws: Workspace, group: TradeGroup, text: str = "", units: Mapping[str, Units] | None = None
) -> list[TradePoint]:
    """The group's base and runs in the plane, with intervals paired over the same prompts and documents.

    `units` are the group's, as `group_units` reads them; a caller that asks for several texts keeps them.
    """
    units = group_units(ws, group) if units is None else units
    return points(group.base, [(run.id, _evaluated(run)) for run in group.runs], units=units, text=text)


def run_composites(
    ws: Workspace, group: TradeGroup, run: Run, units: Mapping[str, Units] | None = None
) -> dict[str, Measure]:
    """TR, U:TEXT, OPS, RPS and RES of one run (Winnow definition v1), against its full-data run, if any.

    Every text set that was measured is a utility: a loss may hide in one of them.
    """
    full = full_data_run(group, run)
    members = [run] + ([full] if full else [])
    units = group_units(ws, group, members) if units is None else units
    return composites(
        group.base,
        _evaluated(run),
        _evaluated(full) if full else None,
        utilities={f"U:{name}": name for name in group.base.texts} or MAIN,
        share=run.share,
        cost=run.cost(full) if full else None,
        units=[units[BASE], *(units[member.id] for member in members)],
    )


def group_units(ws: Workspace, group: TradeGroup, members: Sequence[Run] | None = None) -> dict[str, Units]:
    """Per-prompt and per-document values of the base (under BASE) and of the runs, all unless named."""
    base = ws.find("evaluations", group.key)
    assert base is not None  # the group was made from it
    chosen = group.runs if members is None else members
    return {BASE: read_units(base)} | {run.id: read_units(run.folder) for run in chosen}


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
    beside = m.spec.mix, m.spec.token_mask, m.spec.normal  # what is trained on besides the chosen rows
    return m.pool_fingerprint, m.eligible, m.model_hash, m.spec.method, params, beside


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
