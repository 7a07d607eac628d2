"""Two ways to sum up a repair over several models or seeds: ratio of averages, average of ratios.

They do not agree. IRepair (doi 10.1145/3715775, table 1) averages each metric over models first;
repair-and-evaluation A8 and F-11.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def ratio_of_averages(base: ArrayLike, repaired: ArrayLike) -> float:
    """Relative change mean(repaired) / mean(base) - 1: the paper's; large values weigh more."""
    return float(np.asarray(repaired).mean() / np.asarray(base).mean() - 1)


def average_of_ratios(base: ArrayLike, repaired: ArrayLike) -> float:
    """Mean of repaired / base - 1: every model or seed weighs the same."""
    return float(np.mean(np.asarray(repaired) / np.asarray(base)) - 1)


def more_effective(reduction: float, other: float) -> float:
    """How much more effective one repair is: reduction / other reduction - 1, both positive shares."""
    return reduction / other - 1


def less_disruption(increase: float, other: float) -> float:
    """How much less a repair disrupts: 1 - perplexity increase / other perplexity increase."""
    return 1 - increase / other
