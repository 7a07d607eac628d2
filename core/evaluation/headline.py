"""Sums up repairs over several models or seeds: how much more effective one is, how much less it disrupts.

IRepair (doi 10.1145/3715775, table 1) averages each metric over models first, then takes ratios
(repair-and-evaluation A8, F-11). The average of each model's own ratio is another number: both are told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def ratio_of_averages(base: ArrayLike, repaired: ArrayLike) -> float:
    """Relative change mean(repaired) / mean(base) - 1: the paper's; large values weigh more."""
    return float(np.asarray(repaired).mean() / np.asarray(base).mean() - 1)


def average_of_ratios(base: ArrayLike, repaired: ArrayLike) -> float:
    """Mean of repaired / base - 1: every model or seed weighs the same."""
    return float(np.mean(np.asarray(repaired) / np.asarray(base)) - 1)


def more_effective(reduction: float, other: float) -> float:
    """How much more effective one repair is: reduction / other reduction - 1.

    NaN where the other does not reduce: there is nothing to be a multiple of.
    """
    return reduction / other - 1 if other > 0 else math.nan


def less_disruption(increase: float, other: float) -> float:
    """How much less a repair disrupts: 1 - perplexity increase / other perplexity increase.

    NaN where the other does not disrupt.
    """
    return 1 - increase / other if other > 0 else math.nan


@dataclass(frozen=True)
class Levels:
    """One kind of model, measured on every base model (or by every seed), in one order."""

    toxicity: ArrayLike  # (k,)
    perplexity: ArrayLike  # (k,)


@dataclass(frozen=True)
class Headline:
    """One repair against another: shares, to be told as percentages."""

    reduction: float  # R, of toxicity; higher is better
    other_reduction: float
    increase: float  # I, of perplexity; lower is better
    other_increase: float
    effective: float  # "x % more effective"
    disruption: float  # "x % less disruption"


def headline(base: Levels, repaired: Levels, other: Levels) -> Headline:
    """As the paper: every metric is averaged over models first, then reductions, increases and ratios."""
    reduction, theirs = (-ratio_of_averages(base.toxicity, m.toxicity) for m in (repaired, other))
    increase, their = (ratio_of_averages(base.perplexity, m.perplexity) for m in (repaired, other))
    ratios = more_effective(reduction, theirs), less_disruption(increase, their)
    return Headline(reduction, theirs, increase, their, *ratios)


def headline_by_model(base: Levels, repaired: Levels, other: Levels) -> Headline:
    """The same with every ratio taken per model and averaged last; NaN where a model has no ratio."""
    parts = [
        headline(*(Levels([t], [p]) for t, p in row))
        for row in zip(*(_rows(m) for m in (base, repaired, other)), strict=True)
    ]
    return Headline(*(float(np.mean([getattr(p, name) for p in parts])) for name in vars(parts[0])))


def _rows(levels: Levels) -> list[tuple[float, float]]:
    toxicity, perplexity = np.atleast_1d(levels.toxicity), np.atleast_1d(levels.perplexity)
    return list(zip(toxicity.tolist(), perplexity.tolist(), strict=True))
