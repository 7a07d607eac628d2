"""How far a mean over training seeds can be trusted: few values, so Student's t, not a bootstrap of them.

Student, "The Probable Error of a Mean", Biometrika 6 (1908), 1-25. Seeds and prompts are two sources of
chance (repair-and-evaluation E5): each has its own interval, and a claim about new seeds and new prompts
needs both.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from core.statistics.bootstrap import LEVEL, Interval


def over_seeds(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Mean of one value per seed with its t interval; bounds are NaN for fewer than two seeds."""
    from scipy.special import stdtrit

    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:  # noqa: PLR2004 - one seed shows no spread
        return Interval(float(x[0]) if len(x) else np.nan, np.nan, np.nan)
    half = float(stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / math.sqrt(len(x)))
    return Interval(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)


def widened(units: Interval, seeds: Interval) -> Interval:
    """The interval over units, widened by the seeds' own half width: independent errors add in squares.

    NaN where either is unknown.
    """
    half = (seeds.high - seeds.low) / 2
    return Interval(
        units.value,
        units.value - math.hypot(units.value - units.low, half),
        units.value + math.hypot(units.high - units.value, half),
    )
