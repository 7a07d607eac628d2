"""Percentile bootstrap over units (prompts, documents) of means, paired differences and ratios of sums.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 6 and 13; repair-and-evaluation E5.
A resample is a row of multinomial weights, so one matrix product serves any number of statistics of the same
units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
BLOCK = 2_000_000  # weights held at once, 16 MB


class Interval(NamedTuple):
    """An estimate and its bounds, in the unit of the data; NaN where they cannot be given."""

    value: float
    low: float
    high: float


def resampled_sums(columns: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES) -> Floats:
    """Column sums of (n, m) `columns` over each resample of its n rows with replacement: (resamples, m).

    The resamples depend on (n, seed, resamples) only: statistics of the same units made in two calls stay
    paired.
    """
    table = np.asarray(columns, dtype=np.float64)
    n = len(table)
    rng = np.random.default_rng(seed)
    out = np.empty((resamples, table.shape[1]))
    step = max(1, BLOCK // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        weights = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        with np.errstate(invalid="ignore"):  # a column that is not finite has no resamples: NaN
            out[start : start + rows] = weights.astype(np.float64) @ table
    return out


def resampled_ratios(
    tops: ArrayLike, bottoms: ArrayLike, *, seed: int = 0, resamples: int = RESAMPLES
) -> Floats:
    """Column sums of (n, m) `tops` over those of `bottoms`: (1 + resamples, m), the units as they are at [0].

    Columns are models measured on the same units, which are drawn together. A unit that a model lacks has 0
    on both sides; a column without any gives NaN.
    """
    table = np.hstack([np.asarray(tops, dtype=np.float64), np.asarray(bottoms, dtype=np.float64)])
    half = table.shape[1] // 2
    if not len(table):
        return np.full((1, half), np.nan)
    sums = np.vstack([table.sum(axis=0), resampled_sums(table, seed=seed, resamples=resamples)])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = sums[:, :half] / sums[:, half:]
    return ratio


def percentile_interval(value: float, resampled: ArrayLike, level: float = LEVEL) -> Interval:
    """`value` with the middle `level` share of its resampled values; those that are NaN are left out."""
    kept = np.asarray(resampled, dtype=np.float64)
    kept = kept[~np.isnan(kept)]
    if len(kept) == 0 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan)
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):  # between two infinite resamples lies nothing
        low, high = np.quantile(kept, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def bootstrap_mean(
    values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Mean of one value per unit; bounds are NaN for fewer than two units, the mean too for none."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:  # noqa: PLR2004 - one unit shows no spread
        return Interval(float(x[0]) if len(x) else np.nan, np.nan, np.nan)
    sums = resampled_sums(x[:, None], seed=seed, resamples=resamples)
    return percentile_interval(float(x.mean()), sums[:, 0] / len(x), level)


def bootstrap_paired(
    before: ArrayLike, after: ArrayLike, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Mean of after - before over units measured in both; a unit missing (NaN) on one side is left out."""
    change = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    return bootstrap_mean(change[~np.isnan(change)], seed, resamples, level)


def bootstrap_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    transform: Callable[[Floats], Floats] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Ratio of sums over units, then `transform`: perplexity is np.exp of NLL over tokens.

    Units with a denominator of 0 hold nothing and are left out. Values that are not finite make the estimate
    NaN or inf and its bounds NaN: a resample of them would say nothing.
    """
    pairs = np.column_stack(
        [np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)]
    )
    pairs = pairs[pairs[:, 1] != 0]
    if len(pairs) == 0:
        return Interval(np.nan, np.nan, np.nan)
    with np.errstate(over="ignore"):
        value = float(_ratio(pairs.sum(axis=0)[None, :], transform)[0])
        if len(pairs) < 2 or not np.isfinite(pairs).all():  # noqa: PLR2004 - one unit shows no spread
            return Interval(value, np.nan, np.nan)
        ratios = _ratio(resampled_sums(pairs, seed=seed, resamples=resamples), transform)
    return percentile_interval(value, ratios, level)


def _ratio(sums: Floats, transform: Callable[[Floats], Floats] | None) -> Floats:
    ratio = sums[:, 0] / sums[:, 1]
    return ratio if transform is None else transform(ratio)


def standard_error(values: ArrayLike, *, of_bootstrap: bool = False) -> float:
    """Standard error of the mean: sd (n - 1) / sqrt n, or the limit a bootstrap tends to, sd (n) / sqrt n."""
    x = np.asarray(values, dtype=np.float64)
    return float(x.std(ddof=0 if of_bootstrap else 1) / np.sqrt(len(x)))
