"""Intervals and ranks: what turns a list of measurements into a number with its uncertainty."""

from core.statistics.bootstrap import (
    Interval,
    bootstrap_mean,
    bootstrap_paired,
    bootstrap_ratio,
    percentile_interval,
    resampled_sums,
    standard_error,
)
from core.statistics.proportions import wilson
from core.statistics.ranking import ranks

__all__ = [
    "Interval",
    "bootstrap_mean",
    "bootstrap_paired",
    "bootstrap_ratio",
    "percentile_interval",
    "ranks",
    "resampled_sums",
    "standard_error",
    "wilson",
]
