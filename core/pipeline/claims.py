"""What the papers claim, judged from one study's runs: held, did not hold, or not to be told apart.

arXiv 2510.20428 (selection 1.5): SAPS has the best balance, random stays competitive. IRepair, doi
10.1145/3715775 (repair-and-evaluation A8): ahead of DPO on disruption. Behaviour-aware sampling
(behaviour-and-prism 2): T1 rows are the strongest. The rules of judging are Winnow's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.evaluation import BASE
from core.evaluation.headline import Headline, Levels, headline, headline_by_model
from core.evaluation.tradeoff import higher_is_better
from core.pipeline.study_numbers import TOXICITY, Cell, Numbers
from core.statistics import over_seeds, percentile_interval, widened
from core.statistics.bootstrap import LEVEL
from core.values.study import StudySpec

Verdict = Literal["held", "did not hold", "not distinguishable", "not measured"]
Pair = tuple[Cell, Cell]

EPSILON = 0.05  # relative: what counts as good enough beside the best
COMPARABLE = 0.05  # of the base model's toxicity: reductions no farther behind are comparable
RULE = "intervals: 95 %, paired over prompts and documents, widened by Student's t over seeds"
TOGETHER = "; one of several rivals counts as ahead only where that is 95 % sure of all of them together"


@dataclass(frozen=True)
class Claim:
    """One claim, what this study says of it, and the numbers that say so."""

    sentence: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Gap:
    """Mean difference of a metric over pairs of runs that differ in one thing only."""

    value: float
    low: float
    high: float
    seeds: int
    pairs: int
    broken: int = 0  # pairs left out because a side has no finite number

    @property
    def above(self) -> bool:
        """Whether it lies above 0 for certain; one seed is never certain."""
        return self.seeds > 1 and self.low > 0

    @property
    def below(self) -> bool:
        """Whether it lies below 0 for certain."""
        return self.seeds > 1 and self.high < 0

    @property
    def words(self) -> str:
        """The difference with its interval and what it rests on."""
        once = "" if self.seeds > 1 else ", how far seeds scatter is not known"
        lost = f", {self.broken} more without a finite number" if self.broken else ""
        counted = f"{self.pairs} pairs{lost}, {self.seeds} seed{'s' if self.seeds > 1 else ''}{once}"
        return f"{self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}] ({counted})"


def judge(spec: StudySpec, known: Numbers) -> list[Claim]:
    """The claims in their order; one that this study cannot speak of is "not measured"."""
    balance = ("OPS", "RPS_full" if any(c.full for c in known.cells) else "RPS_ideal")
    return [
        *(_balance(spec, known, metric) for metric in balance),
        _random(spec, known),
        *_disruption(spec, known),
        _typed(spec, known),
    ]


def gap(known: Numbers, pairs: Sequence[Pair], metric: str, among: int = 1) -> Gap | None:
    """Mean of first - second over the pairs; None where no pair has the metric on both sides.

    The interval is that of one of `among` comparisons that hold together at 95 % (Bonferroni).
    """
    level = 1 - (1 - LEVEL) / among
    drawn = known.draws(metric)
    changes = [
        (a.seed, drawn[a.run.id] - drawn[b.run.id])
        for a, b in pairs
        if a.run is not None and b.run is not None and a.run.id in drawn and b.run.id in drawn
    ]
    all_pairs = len(changes)
    changes = [(seed, change) for seed, change in changes if np.isfinite(change[0])]
    if not changes:
        return None
    mean = np.mean([change for _, change in changes], axis=0)
    units = percentile_interval(float(mean[0]), mean[1:], level)
    by_seed: dict[int, list[float]] = {}
    for seed, change in changes:
        by_seed.setdefault(seed, []).append(float(change[0]))
    seeds = over_seeds([float(np.mean(values)) for values in by_seed.values()], level)
    both = units if len(by_seed) == 1 else widened(units, seeds)
    return Gap(both.value, both.low, both.high, len(by_seed), len(changes), all_pairs - len(changes))


def pairs(first: Iterable[Cell], second: Iterable[Cell], differ: str) -> list[Pair]:
    """Cells of the two groups that agree in all but `differ`, "strategy" or "method"."""
    others = {_rest(cell, differ): cell for cell in second}
    return [(cell, others[key]) for cell in first if (key := _rest(cell, differ)) in others]


def _rest(cell: Cell, differ: str) -> tuple[object, ...]:
    stays = cell.method if differ == "strategy" else cell.strategy
    return stays, cell.budget.words, cell.full, cell.seed


def _by_strategy(known: Numbers) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in known.cells:
        if not cell.full:
            found.setdefault(cell.strategy, []).append(cell)
    return found


def _named(spec: StudySpec, strategy: str) -> list[str]:
    """Labels of the study's strategies of that name."""
    return [s.label or s.strategy for s in spec.strategies if s.strategy == strategy]


def _others(spec: StudySpec, champions: Sequence[str]) -> list[str]:
    """Labels of all others, those without a finished run too."""
    return [label for s in spec.strategies if (label := s.label or s.strategy) not in champions]


def _balance(spec: StudySpec, known: Numbers, metric: str) -> Claim:
    sentence = f"SAPS has the best balance of detoxification and utility among the strategies ({metric})"
    if not known.texts:
        return Claim(
            sentence, "not measured", "no perplexity was measured, so there is no utility to balance"
        )
    return _best(spec, known, sentence, _named(spec, "saps"), metric)


def _best(spec: StudySpec, known: Numbers, sentence: str, champions: Sequence[str], metric: str) -> Claim:
    """Held if the first champion lies above every other strategy, did not hold if one lies above it.

    Above every other is one claim, above any one of many is many: only there intervals are widened.
    """
    groups, rivals = _by_strategy(known), _others(spec, champions)
    mine = next((label for label in champions if label in groups), None)
    if mine is None or not any(rival in groups for rival in rivals):
        return Claim(sentence, "not measured", "the study has no such strategy with another beside it yet")
    sign = 1 if higher_is_better(metric) else -1
    met = {r: pairs(groups[mine], groups.get(r, []), "strategy") for r in rivals}
    gaps = {r: one for r in rivals if (one := gap(known, met[r], metric)) is not None}
    if not gaps:
        return Claim(sentence, "not measured", f"no two finished runs have {metric} to compare")
    sure = [gap(known, met[r], metric, len(rivals)) for r in gaps]
    behind = [one is not None and (one.below if sign > 0 else one.above) for one in sure]
    ahead = [one.broken == 0 and (one.above if sign > 0 else one.below) for one in gaps.values()]
    verdict: Verdict = "not distinguishable"
    if any(behind):
        verdict = "did not hold"
    elif all(ahead) and len(gaps) == len(rivals):
        verdict = "held"
    said = [f"minus {rival} {one.words}" for rival, one in gaps.items()]
    said += [f"{rival} is not measured yet" for rival in rivals if rival not in gaps]
    return Claim(sentence, verdict, f"{metric} of {mine}, {'; '.join(said)}. {RULE}{TOGETHER}")


def _random(spec: StudySpec, known: Numbers) -> Claim:
    """Held if no strategy may be more than EPSILON ahead of uniform, at any budget, over matched runs."""
    sentence = f"Random is good enough: uniform is within {EPSILON:.0%} of the best strategy at every budget"
    groups, rivals = _by_strategy(known), _others(spec, _named(spec, "uniform"))
    mine = next((label for label in _named(spec, "uniform") if label in groups), None)
    if mine is None or not any(rival in groups for rival in rivals):
        return Claim(sentence, "not measured", "the study has no uniform runs with another strategy beside")
    budgets = list(dict.fromkeys(cell.budget.words for cell in known.cells if not cell.full))
    near, lost, said = [], [], []
    for budget in budgets:
        ours = [cell for cell in groups[mine] if cell.budget.words == budget]
        met = {r: pairs(groups.get(r, []), ours, "strategy") for r in rivals}
        gaps = {r: one for r in rivals if (one := gap(known, met[r], "OPS")) is not None}
        sure = {r: gap(known, met[r], "OPS", len(rivals) * len(budgets)) for r in gaps}
        rooms = {r: EPSILON * _mean(known, [theirs for theirs, _ in met[r]], "OPS") for r in gaps}
        close = [one.seeds > 1 and one.high <= rooms[r] for r, one in gaps.items()]
        near.append(len(gaps) == len(rivals) and all(close))
        lost += [one is not None and one.seeds > 1 and one.low > rooms[r] for r, one in sure.items()]
        if gaps:
            said.append(f"{budget}: OPS {_mean(known, ours, 'OPS'):.4f}, {_farthest(gaps)}")
    if not said:
        return Claim(sentence, "not measured", "no budget has uniform and another strategy with OPS yet")
    verdict: Verdict = "did not hold" if any(lost) else "held" if all(near) else "not distinguishable"
    return Claim(sentence, verdict, f"{'; '.join(said)}. {RULE}{TOGETHER}")


def _farthest(gaps: dict[str, Gap]) -> str:
    """The strategy that is most ahead."""
    best = max(gaps, key=lambda rival: gaps[rival].value)
    words = gaps[best].words
    return f"{best} ahead by {words}" if gaps[best].value > 0 else f"the best itself, {best} {words}"


def _mean(known: Numbers, members: Sequence[Cell], metric: str) -> float:
    """Mean of the metric over the cells that have it."""
    drawn = known.draws(metric)
    values = [drawn[c.run.id][0] for c in members if c.run is not None and c.run.id in drawn]
    return float(np.nanmean(values)) if values else np.nan


def _disruption(spec: StudySpec, known: Numbers) -> list[Claim]:
    """Of every IRepair variant against DPO: less perplexity at a comparable or better reduction."""
    labels = {m.label or m.method: m.method for m in spec.methods}
    theirs = next((label for label, method in labels.items() if method == "dpo"), None)
    ours = [label for label, method in labels.items() if method.startswith("irepair")] or ["IRepair"]
    return [_ahead(known, mine, theirs) for mine in ours]


def _ahead(known: Numbers, mine: str, other: str | None) -> Claim:
    sentence = f"{mine} disrupts less than DPO at a comparable or better reduction of toxicity"
    ours, theirs = ([cell for cell in known.cells if cell.method == name] for name in (mine, other))
    matched = pairs(ours, theirs, "method")
    main = known.texts[0] if known.texts else ""
    cost = gap(known, matched, f"cost of perplexity:{main}")
    gain = gap(known, matched, "TR")
    if cost is None or gain is None:
        return Claim(sentence, "not measured", "no finished runs of both methods differ by their method only")
    verdict: Verdict = "not distinguishable"
    if cost.above or (gain.seeds > 1 and gain.high < -COMPARABLE):
        verdict = "did not hold"
    elif cost.below and gain.low >= -COMPARABLE and not cost.broken:
        verdict = "held"
    others = [(text, gap(known, matched, f"cost of perplexity:{text}")) for text in known.texts[1:]]
    said = [
        f"perplexity increase on {main}, {mine} minus DPO {cost.words}",
        f"reduction {gain.words}",
        *(f"increase on {text} {one.words}" for text, one in others if one is not None),
        *_ratios(known, matched, main),
    ]
    return Claim(sentence, verdict, f"{'; '.join(said)}. {RULE}")


def method_headline(known: Numbers, matched: Sequence[Pair], text: str) -> tuple[Headline, Headline] | None:
    """The paper's ratios of the pairs' methods: of averages over the pairs, and averaged over the pairs."""
    toxicity, perplexity = known.draws(TOXICITY), known.draws(f"perplexity:{text}")
    ids = [(a.run.id, b.run.id) for a, b in matched if a.run is not None and b.run is not None]
    ids = [pair for pair in ids if all(np.isfinite(perplexity[i][0]) for i in pair if i in perplexity)]
    if not ids or not toxicity or not perplexity:
        return None
    rows = [[BASE] * len(ids), [a for a, _ in ids], [b for _, b in ids]]
    levels = [Levels([toxicity[i][0] for i in row], [perplexity[i][0] for i in row]) for row in rows]
    return headline(*levels), headline_by_model(*levels)


def _ratios(known: Numbers, matched: Sequence[Pair], text: str) -> list[str]:
    both = method_headline(known, matched, text)
    if both is None:
        return []
    paper, each = both
    return [
        f"reductions {_percent(paper.reduction)} and {_percent(paper.other_reduction)}, increases "
        f"{_percent(paper.increase)} and {_percent(paper.other_increase)}: by the paper's ratio of averages "
        f"{_percent(paper.effective)} more effective and {_percent(paper.disruption)} less disruption "
        f"(average of ratios: {_percent(each.effective)} and {_percent(each.disruption)})"
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "n/a"


def _typed(spec: StudySpec, known: Numbers) -> Claim:
    """Strategies that take T1 rows only, against those that do not: by compliance, else by reduction."""
    typed = [s.label or s.strategy for s in spec.strategies if s.params.get("t1_only")]
    asked = next(iter(known.base.requests), "") if known.base is not None else ""
    metric = f"harmful_compliance:{asked}" if asked else "TR"
    return _best(spec, known, f"T1 rows (harmful request, refused) repair best ({metric})", typed, metric)
