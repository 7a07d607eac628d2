"""Euclidean distances between many rows in blocks, so that no n x n matrix is ever built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.values import Rows

Matrix: TypeAlias = NDArray[np.floating[Any]]

BLOCK = 2**20  # numbers in one block of distances: 4 MB in float32, about a level-2 cache


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices over n rows whose blocks of `width` columns hold about BLOCK numbers."""
    step = max(BLOCK // max(width, 1), 16)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def centred(x: Matrix) -> Matrix:
    """A float copy of x (n, d) moved near the origin: distances stay, far-off data loses no digits.

    The shift is the mean in whole numbers, so that data of whole numbers stays exact and keeps its ties.
    """
    work = x if x.dtype in (np.float32, np.float64) else x.astype(np.float32)
    return np.ascontiguousarray(work - np.rint(work.mean(axis=0, dtype=np.float64)).astype(work.dtype))


def squares(x: Matrix) -> Matrix:
    """(n,) squared length of each row."""
    lengths: Matrix = np.einsum("ij,ij->i", x, x)
    return lengths


def squared_distances(a: Matrix, b: Matrix, a_squares: Matrix, b_squares: Matrix) -> Matrix:
    """(len(a), len(b)) squared distances through one matrix product, clamped at 0 (selection 8.3)."""
    d = a @ b.T
    d *= -2
    d += a_squares[:, None]
    d += b_squares[None]
    return np.maximum(d, 0, out=d)


def nearest(x: Matrix, rows: Rows) -> NDArray[np.float64]:
    """(n,) distance of every row of x to the nearest of the chosen `rows`; exactly 0 for the chosen."""
    if len(rows) == 0:
        return np.full(len(x), np.inf)
    work = centred(x)
    size, chosen = squares(work), work[rows]
    gap = np.empty(len(work))
    for s in blocks(len(work), len(rows)):
        gap[s] = squared_distances(work[s], chosen, size[s], size[rows]).min(axis=1)
    gap[rows] = 0.0
    return np.sqrt(gap)
