"""Runs that differ only by seed, put together: one arm is one strategy, budget, method and setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation import TradePoint
from core.evaluation.measures import overlap
from core.pipeline.runs import Run
from core.pipeline.trade_off import FULL_SHARE
from core.values import Evaluation, Measure
from core.workspace import content_key

PARTS = ("reduction", "ppl_increase", "toxicity", "perplexity")


@dataclass(frozen=True)
class Arm:
    """Runs of one kind and their points in the trade-off plane, one per seed."""

    label: str
    method: str
    strategy: str
    rows: int
    full: bool  # all eligible rows
    runs: tuple[Run, ...]
    points: tuple[TradePoint, ...]

    @property
    def seeds(self) -> int:
        """Distinct repair seeds: two runs of one seed are one piece of evidence."""
        return len({r.manifest.spec.seed for r in self.runs})

    @property
    def mean(self) -> TradePoint | None:
        """The mean over seeds, with the range of the seeds as its bounds; None where no seed has a value."""
        return self._over_seeds(_seed_range)

    @property
    def mean_over_prompts(self) -> TradePoint | None:
        """The same mean with the interval over prompts and documents as its bounds, seeds as they are."""
        return self._over_seeds(_prompt_interval)

    @property
    def one_seed(self) -> bool:
        """Whether nothing is known of how far seeds scatter: shown as "n = 1 seed"."""
        return self.seeds == 1

    def _over_seeds(self, together: Callable[[Sequence[Measure]], Measure]) -> TradePoint | None:
        known = [p for p in self.points if p.reduction.value is not None and p.ppl_increase.value is not None]
        if not known:
            return None
        means = {part: together([getattr(p, part) for p in known]) for part in PARTS}
        return TradePoint(label=self.label, **means)


def _seed_range(measures: Sequence[Measure]) -> Measure:
    """Seeds apart from prompts: how far repairs that differ by their seed alone lie apart."""
    values = [m.value for m in measures if m.value is not None]
    if not values:
        return measures[0]
    return Measure(
        value=float(np.mean(values)),
        low=min(values),
        high=max(values),
        n=len(values),
        unit=measures[0].unit,
        note="mean over seeds; the bounds are the lowest and the highest seed",
    )


def _prompt_interval(measures: Sequence[Measure]) -> Measure:
    """Prompts apart from seeds: the mean of the seeds' own bounds.

    All seeds were measured on the same prompts, so their errors largely move together: the interval of the
    mean is at most as wide as the mean of theirs.
    """
    bounded = [m for m in measures if m.value is not None and m.low is not None and m.high is not None]
    if not bounded:
        return _seed_range(measures).model_copy(update={"low": None, "high": None, "note": "no intervals"})
    low, value, high = (
        float(np.mean([getattr(m, part) for m in bounded])) for part in ("low", "value", "high")
    )
    note = "mean over seeds; the bounds are means of the seeds' 95 % intervals over prompts or documents"
    return Measure(value=value, low=low, high=high, n=bounded[0].n, unit=bounded[0].unit, note=note)


def arms(runs: Sequence[Run], points: Sequence[TradePoint]) -> list[Arm]:
    """The runs grouped by everything but seed, full-data runs last; `points` belong to `runs` in order."""
    groups: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        m = run.manifest
        beside = getattr(m.spec, "mix", None), getattr(m.spec, "token_mask", "")
        kind = content_key([m.strategy, m.budget, m.spec.method, m.spec.params, *beside])
        groups.setdefault(kind, []).append(i)
    found = [_arm([runs[i] for i in g], [points[i] for i in g]) for g in groups.values()]
    return sorted(found, key=lambda a: (a.full, a.method, a.strategy, a.rows))


def _arm(runs: list[Run], points: list[TradePoint]) -> Arm:
    m = runs[0].manifest
    whole = runs[0].share >= FULL_SHARE
    rows = f"all {m.budget:,} rows" if whole else f"{m.strategy}, {m.budget:,} rows"
    order = np.argsort([r.manifest.spec.seed for r in runs], kind="stable")
    return Arm(
        label=f"{m.spec.method} · {rows}",
        method=m.spec.method,
        strategy=m.strategy,
        rows=m.budget,
        full=whole,
        runs=tuple(runs[i] for i in order),
        points=tuple(points[i] for i in order),
    )


def sentence(base: Evaluation, found: Sequence[Arm]) -> str:
    """What the chart shows, from the data; neutral where intervals overlap."""
    known = [(a, mean) for a in found if (mean := a.mean) is not None]
    if not known:
        return "No run of this group has both numbers yet, so there is no point to draw."
    arm, best = max(known, key=lambda pair: pair[1].reduction.value or 0.0)
    before, after = base.metrics.get("toxicity_mean"), best.toxicity
    seeds = f"mean of {arm.seeds} seeds" if arm.seeds > 1 else "one seed"
    change = (
        f"{arm.label} has the largest reduction of mean toxicity: {_percent(best.reduction.value)} ({seeds})"
    )
    if before is not None:
        change += f", from {_short(before.value)} to {_short(after.value)}"
    change += f"; perplexity changes by {_percent(best.ppl_increase.value, signed=True)}."
    return " ".join(filter(None, (change, _clear(base, arm), _rivals(arm, [a for a, _ in known]))))


def _clear(base: Evaluation, arm: Arm) -> str:
    """Whether the arm's intervals lie apart from the base model's."""
    before = base.metrics.get("toxicity_mean")
    if before is None or any(overlap(before, p.toxicity) for p in arm.points):
        return "Its interval overlaps the base model's: the effect is not certain."
    return "Its intervals lie below the base model's."


def _rivals(best: Arm, found: Sequence[Arm]) -> str:
    """Which arms cannot be told apart from the best one in reduction: no order is claimed among them."""
    same = [
        a.label
        for a in found
        if a is not best and any(overlap(p.reduction, q.reduction) for p in a.points for q in best.points)
    ]
    if not same:
        return ""
    named = "; ".join(same[:3]) + (f"; and {len(same) - 3} more" if len(same) > 3 else "")  # noqa: PLR2004
    return f"Not told apart from it by these intervals: {named}."


def _short(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3g}"


def _percent(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "n/a"
    return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"
