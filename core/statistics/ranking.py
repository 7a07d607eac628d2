"""Ranks with ties shared, for comparing strategies and scores on different scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank of each value, (n,): 1 is the smallest; equal values share their mean rank; NaN stays NaN."""
    x = np.asarray(values, dtype=np.float64)
    out = np.full(x.shape, np.nan)
    known = ~np.isnan(x)
    _, group, counts = np.unique(x[known], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    out[known] = (last - (counts - 1) / 2)[group]
    return out
