"""What a study shows: curves over budgets, the smallest budget that is enough, the front, the claims."""

from __future__ import annotations

from dataclasses import dataclass

from core.evaluation import TradePoint, pareto_front
from core.evaluation.tradeoff import INCREASE, all_measures, higher_is_better, hypervolume
from core.pipeline.claims import Claim, judge
from core.pipeline.studies import cells
from core.pipeline.study_numbers import SCORES, Numbers, StudyArm
from core.values import Measure
from core.values.study import StudySpec
from core.workspace import Workspace


@dataclass(frozen=True)
class CurvePoint:
    """One budget of one strategy and method."""

    budget_rows: int
    share: float  # of the eligible rows
    value: Measure  # mean over seeds; low and high: 95 % over prompts and documents, paired
    seeds: tuple[float, ...]  # each seed's own value, by rising seed: its spread is another interval
    runs: tuple[str, ...] = ()  # ids, one per seed


@dataclass(frozen=True)
class Curve:
    """One metric over the budgets, by rising rows, and of the full-data runs."""

    strategy: str
    method: str
    points: tuple[CurvePoint, ...]
    full: Measure | None
    metric: str = ""
    higher_is_better: bool = True
    full_rows: int = 0
    full_seeds: tuple[float, ...] = ()


@dataclass(frozen=True)
class FrontPoint:
    """One arm in the plane of a utility: what was gained, what it cost; means over seeds."""

    label: str
    strategy: str
    method: str
    rows: int
    full: bool
    runs: tuple[str, ...]
    reduction: Measure  # share of the base model's toxicity that is gone
    cost: Measure  # of the utility; higher is worse: share added to a perplexity, points lost of a rate
    reduction_seeds: tuple[float, ...] = ()
    cost_seeds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Front:
    """The arms of a study against one utility metric."""

    points: list[FrontPoint]  # arms with both numbers
    on_front: list[int]  # of points, by rising cost: those that no other beats on both axes
    hypervolume: float  # area between the staircase and the reference, reduction x cost
    reference: tuple[float, float]  # (reduction 0, the largest cost among the points)
    utility: str = ""


def numbers(ws: Workspace, spec: StudySpec) -> Numbers:
    """Everything the study's finished runs measured; pages keep it, the functions below take it."""
    return Numbers(ws, cells(ws, spec))


def metrics(known: Numbers) -> list[str]:
    """Names of what a curve can show: the evaluations' numbers, TR, U:SET, and the composite scores."""
    measured = all_measures(known.base) if known.base is not None else {}
    return [*(name for name in measured if "[" not in name), *known.utilities, *SCORES]


def utility_metrics(known: Numbers) -> list[str]:
    """What a repair may have cost, the main text's perplexity first: the axes that `front` can take."""
    measured = all_measures(known.base) if known.base is not None else {}
    kinds = tuple(f"{kind}:" for kind in (*INCREASE, "last_word_accuracy", "refusal_safe"))
    return [name for name in measured if name.startswith(kinds) or name == "fluency"]


def curves(ws: Workspace, spec: StudySpec, metric: str, known: Numbers | None = None) -> list[Curve]:
    """The metric over budgets, a curve per strategy and method; without a value where no run has it."""
    return curves_of(known or numbers(ws, spec), metric)


def curves_of(known: Numbers, metric: str) -> list[Curve]:
    """The same of runs at hand, be they a study's or not."""
    groups: dict[tuple[str, str], list[StudyArm]] = {}
    arms = known.arms()
    for arm in arms:
        if not arm.full:
            groups.setdefault((arm.strategy, arm.method), []).append(arm)
    full = {arm.method: arm for arm in arms if arm.full}
    return [_curve(known, metric, group, full.get(method)) for (_, method), group in groups.items()]


def _curve(known: Numbers, metric: str, group: list[StudyArm], full: StudyArm | None) -> Curve:
    return Curve(
        group[0].strategy,
        group[0].method,
        tuple(_curve_point(known, metric, arm) for arm in group),
        known.over_seeds(full, metric) if full is not None else None,
        metric,
        higher_is_better(metric),
        full.rows if full is not None else 0,
        known.seeds(full, metric) if full is not None else (),
    )


def _curve_point(known: Numbers, metric: str, arm: StudyArm) -> CurvePoint:
    ids = tuple(run.id for run in arm.runs)
    return CurvePoint(arm.rows, arm.share, known.over_seeds(arm, metric), known.seeds(arm, metric), ids)


def smallest_budget(curve: Curve, epsilon: float) -> int | None:
    """Rows of the smallest budget whose mean is at most epsilon (relative) worse than the full-data mean.

    The question of arXiv 2510.20428 (selection 1.1): E(sub) >= E(full) - epsilon. None where no budget is
    enough, or no full-data run was measured.
    """
    if curve.full is None or curve.full.value is None:
        return None
    room = epsilon * abs(curve.full.value)
    sign = 1 if curve.higher_is_better else -1
    enough = [
        p.budget_rows
        for p in curve.points
        if p.value.value is not None
        and len(p.seeds) >= len(p.runs)  # a seed that broke is never enough
        and sign * (p.value.value - curve.full.value) >= -room
    ]
    return min(enough, default=None)


def front(ws: Workspace, spec: StudySpec, utility: str, known: Numbers | None = None) -> Front:
    """Toxicity reduction against what it cost of `utility` (a name of `utility_metrics`)."""
    known = known or numbers(ws, spec)
    found = [_front_point(known, arm, utility) for arm in known.arms()]
    found = [p for p in found if p.reduction.value is not None and p.cost.value is not None]
    where = [(float(p.reduction.value or 0), float(p.cost.value or 0)) for p in found]
    reference = (0.0, max((cost for _, cost in where), default=0.0))
    trade = [
        TradePoint(
            label=p.label, reduction=p.reduction, ppl_increase=p.cost, toxicity=p.reduction, perplexity=p.cost
        )
        for p in found
    ]
    return Front(found, pareto_front(trade), hypervolume(where, reference), reference, utility)


def _front_point(known: Numbers, arm: StudyArm, utility: str) -> FrontPoint:
    cost = f"cost of {utility}"
    return FrontPoint(
        arm.label,
        arm.strategy,
        arm.method,
        arm.rows,
        arm.full,
        tuple(run.id for run in arm.runs),
        known.over_seeds(arm, "TR"),
        known.over_seeds(arm, cost),
        known.seeds(arm, "TR"),
        known.seeds(arm, cost),
    )


def claims(ws: Workspace, spec: StudySpec, known: Numbers | None = None) -> list[Claim]:
    """The papers' claims, judged from this study's runs alone."""
    return judge(spec, known or numbers(ws, spec))
