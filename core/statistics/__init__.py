"""Intervals and ranks: what turns a list of measurements into a number with its uncertainty."""

from core.statistics.bootstrap import (
    Interval,
    bootstrap_mean,
    bootstrap_paired,
    bootstrap_ratio,
    percentile_interval,
    resampled_ratios,
    resampled_sums,
    standard_error,
)
from core.statistics.proportions import wilson
from core.statistics.ranking import ranks
from core.statistics.seeds import over_seeds, widened

__all__ = [
    "Interval",
    "bootstrap_mean",
    "bootstrap_paired",
    "bootstrap_ratio",
    "over_seeds",
    "percentile_interval",
    "ranks",
    "resampled_ratios",
    "resampled_sums",
    "standard_error",
    "widened",
    "wilson",
]
