"""How much every row looks like each category: cosines to one direction per category."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import Matrix, blocks, unit

Matrix64 = NDArray[np.float64]


def likeness(x: Matrix, directions: Matrix64) -> tuple[Matrix64, NDArray[np.bool_]]:
    """(cosines (n, k), zero (n,)): each row of x (n, d), at length 1, times each of `directions` (k, d).

    Where a direction has length 1 this is a cosine, where it is the mean of unit vectors the mean of the
    cosines to them (behaviour-and-prism 2.4, cost). A `zero` row has no direction: its values are 0. Rounded
    to twelve digits, so that equal rows tie whatever block they were computed in.
    """
    found, zero = np.empty((len(x), len(directions))), np.empty(len(x), dtype=bool)
    for s in blocks(len(x), x.shape[1]):
        part = unit(x[s], np.float64)
        zero[s] = ~part.any(axis=1)
        found[s] = np.round(part @ directions.T, 12)
    return found, zero


def zero_warning(zero: NDArray[Any], whose: str) -> tuple[str, ...]:
    """Rows whose vector has no direction."""
    count = int(np.count_nonzero(zero))
    return (f"{count} {whose} have a vector of zeros: their cosine counts as 0",) if count else ()
