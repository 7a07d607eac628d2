"""Euclidean distances between many rows in blocks, so that no n x n matrix is ever built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.values import Rows

Matrix: TypeAlias = NDArray[np.floating[Any]]

BLOCK = 2**20  # numbers in one block of distances: 4 MB in float32, about a level-2 cache
TILE = (
    2048,
    1024,
)  # rows and columns of one product of two long tables: halves of it took up to twice as long


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices over n rows whose blocks of `width` columns hold about BLOCK numbers."""
    step = max(BLOCK // max(width, 1), 16)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def tiles(n: int, m: int) -> Iterator[tuple[slice, slice]]:
    """Slices over an (n, m) table of products, so that it is never held whole."""
    high, wide = TILE
    for start in range(0, m, wide):
        columns = slice(start, min(start + wide, m))
        yield from ((slice(top, min(top + high, n)), columns) for top in range(0, n, high))


def centred(x: Matrix) -> Matrix:
    """A float copy of x (n, d) moved near the origin: distances stay, far-off data loses no digits.

    The shift is the mean in whole numbers, so that data of whole numbers stays exact and keeps its ties.
    """
    return np.ascontiguousarray(x - whole_mean(x))


def whole_mean(x: Matrix) -> Matrix:
    """(d,) the mean row in whole numbers, in float64 where x is, else in float32."""
    mean = np.rint(x.mean(axis=0, dtype=np.float64))
    return np.asarray(mean, dtype=np.float64 if x.dtype == np.float64 else np.float32)


def unit(x: Matrix, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """The rows of x (n, d) at length 1, lengths taken in float64; a row of zeros stays zeros."""
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    rows = np.divide(x, length, out=np.zeros(x.shape), where=length > 0)
    return np.asarray(rows, dtype=dtype)


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


def nearest(x: Matrix, rows: Rows, of: Rows | None = None) -> NDArray[np.float64]:
    """(m,) distance of the rows `of` x (n, d), or of all, to the nearest of `rows`; exactly 0 for these."""
    looked = np.arange(len(x)) if of is None else of
    gap = np.full(len(looked), np.inf if not len(rows) else 0.0)
    open_ = np.flatnonzero(~np.isin(looked, rows))
    if not len(rows) or not len(open_):
        return gap
    shift = whole_mean(x)
    chosen, part = x[rows] - shift, x[looked[open_]] - shift
    twice, size, least = -2 * chosen.T, squares(chosen), np.full(len(part), np.inf)
    for s, c in tiles(len(part), len(chosen)):
        d = part[s] @ twice[:, c]
        d += size[c]
        least[s] = np.minimum(least[s], d.min(axis=1))
    gap[open_] = np.sqrt(np.maximum(least + squares(part), 0.0))
    return gap
