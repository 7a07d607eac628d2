"""A study in plain text: arms with intervals, the front, the smallest budgets, the claims."""

from __future__ import annotations

from collections.abc import Sequence

from core.pipeline.against import Against
from core.pipeline.claims import Claim
from core.pipeline.study_numbers import TOXICITY, Cell, Numbers, StudyArm
from core.pipeline.study_results import Curve, Front, curves, front, smallest_budget, utility_metrics
from core.pipeline.study_results import claims as judged
from core.pipeline.trade_off import number
from core.values import Measure
from core.values.study import StudySpec
from core.workspace import Workspace

EPSILON = 0.05  # relative: "enough" beside the full-data run


def report(ws: Workspace, spec: StudySpec, found: Sequence[Cell]) -> str:
    """Everything that the finished runs say, in the order a person asks."""
    known = Numbers(ws, found)
    done = sum(cell.run is not None for cell in found)
    lines = [f"study {spec.name}: {done} of {len(found)} runs finished"]
    lines += [spec.question] if spec.question else []
    lines += known.left_out
    base = known.base
    if base is None or not known.cells:
        return "\n".join([*lines, "no run was measured yet, so there is nothing to report"])
    p = base.protocol
    prompts = base.metrics[TOXICITY].n if TOXICITY in base.metrics else 0
    lines += [
        f"{base.model} on {base.pool}: protocol {p.name}, {prompts} prompts x {p.samples} samples, scorer "
        f"{base.scorer}; [95 % over prompts and documents], {{lowest to highest seed}}",
        "",
        *_arms(known),
    ]
    for utility in utility_metrics(known):
        lines += ["", *_front(front(ws, spec, utility, known))]
    for metric in (TOXICITY, "OPS"):
        lines += ["", *_budgets(metric, curves(ws, spec, metric, known))]
    lines += ["", *_claims(judged(ws, spec, known))]
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells under each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _arms(known: Numbers) -> list[str]:
    """One line per arm: means over seeds with both kinds of spread."""
    texts = [f"perplexity:{name}" for name in known.texts]
    names = [TOXICITY, *texts, "TR", "OPS", "RPS_full", "RES"]
    assert known.base is not None  # looked at before
    stored = {TOXICITY: known.base.metrics.get(TOXICITY)}
    stored |= {f"perplexity:{t}": known.base.texts[t].get("perplexity") for t in known.texts}
    head = ["method", "strategy", "rows", "seeds", *names]
    rows = [head, ["base", "-", "0", "-", *(number(stored.get(name)) for name in names)]]
    arms = known.arms()
    kept = sum(arm.untouched for arm in arms)
    said = [
        f"({kept} untouched: no validation was better than the untouched model's, whose weights they keep)"
    ]
    return columns(rows + [_arm(known, arm, names) for arm in arms]) + (said if kept else [])


def _arm(known: Numbers, arm: StudyArm, names: Sequence[str]) -> list[str]:
    seeds = f"{len(arm.cells)}" if len(arm.cells) > 1 else "n = 1"
    seeds += f", {arm.untouched} untouched" if arm.untouched else ""
    cells = [_both(known.over_seeds(arm, name), known.seeds(arm, name)) for name in names]
    return [arm.method, arm.strategy, f"{arm.rows:,}", seeds, *cells]


def _both(measure: Measure, seeds: Sequence[float]) -> str:
    spread = f" {{{min(seeds):.3f} to {max(seeds):.3f}}}" if len(seeds) > 1 else ""
    return number(measure) + spread


def _front(found: Front) -> list[str]:
    """Which arms no other beats on both axes."""
    said = f"front of toxicity reduction against the cost in {found.utility}: hypervolume "
    said += f"{found.hypervolume:.5f} (reference: reduction 0, cost {found.reference[1]:.4f})"
    return [
        said,
        *(
            f"  {p.label}: reduction {number(p.reduction)}, cost {number(p.cost, 4)}"
            for p in (found.points[i] for i in found.on_front)
        ),
    ]


def _budgets(metric: str, found: Sequence[Curve]) -> list[str]:
    """The smallest budget that is enough, per strategy and method."""
    lines = [f"smallest budget whose mean {metric} is within {EPSILON:.0%} of the full-data runs'"]
    for curve in found:
        rows = smallest_budget(curve, EPSILON)
        if curve.full is None or curve.full.value is None:
            said = "n/a: no full-data run"
        else:
            said = "none of these budgets" if rows is None else f"{rows:,} rows of {curve.full_rows:,}"
        lines.append(f"  {curve.method} · {curve.strategy}: {said}")
    return lines


def _claims(found: Sequence[Claim]) -> list[str]:
    return ["claims of the papers, here", *(f"  {c.verdict}: {c.sentence}\n    {c.evidence}" for c in found)]


def against_text(found: Against) -> str:
    """Every metric of two models, the change with its interval, and what it means."""
    head = ["metric", found.first, found.second, "change [95 %, paired]", "n", "verdict"]
    rows = [
        [r.metric, number(r.first), number(r.second), number(r.change, 4), f"{r.change.n:,}", r.verdict]
        for r in found.rows
    ]
    return "\n".join(
        [
            *columns([head, *rows]),
            f"verdict: {found.second} beside {found.first}; changes of perplexities and bits per byte are "
            "shares of the first's, all others differences",
        ]
    )
