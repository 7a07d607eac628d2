"""Similarities of rows: one pinned kernel, products that give it, and exact nearest neighbours in blocks.

Libraries mean different things by one name (apricot's "cosine" is the squared cosine, submodlib's the plain
one, selection 9.2), so ours is fixed here and stored with every recipe. "cos01" is (1 + cosine) / 2, never
below 0, "cos" the plain cosine. A zero vector has cosine 0 to everything, itself included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.selection.distance import Matrix, blocks, unit
from core.values import Reporter, Rows

WIDE = 8  # times the usual block: products of many rows at once take half the time

Kernel: TypeAlias = Literal["cos01", "cos"]
Space: TypeAlias = Literal["embedding", "pca50", "umap10"]


def features(x: Matrix, kernel: Kernel, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Rows whose plain products are the kernel of the rows of x: no n x n matrix is needed to sum it.

    (u, 1) . (v, 1) / 2 is (1 + cosine) / 2, so "cos01" costs one column more than "cos".
    """
    rows = unit(x, dtype)
    if kernel == "cos":
        return rows
    rows = np.hstack([rows, np.ones((len(rows), 1), dtype)])
    rows *= np.sqrt(0.5)
    return rows


def closest(
    a: Matrix, b: Matrix, k: int, reporter: Reporter, *, same: bool = False
) -> tuple[NDArray[np.int64], Matrix]:
    """The k rows of b (n, d) with the largest products with each row of a (m, d), exactly.

    Returns (rows (m, k) ascending, products (m, k)); k is at most n. Ties at the k-th place go to lower rows.
    `same`: a is b, and no row is its own neighbour (then k is at most n - 1). Memory: some blocks of 32 MB.
    """
    rows, products = np.empty((len(a), k), dtype=np.int64), np.empty((len(a), k), dtype=a.dtype)
    for part in blocks(len(a), len(b) // WIDE) if k else ():
        reporter.progress(part.start, len(a), "rows with neighbours")
        block = a[part] @ b.T
        if same:
            block[np.arange(len(block)), np.arange(part.start, part.stop)] = -np.inf
        rows[part] = _largest(block, k)
        products[part] = np.take_along_axis(block, rows[part], axis=1)
    return rows, products


def _largest(block: Matrix, k: int) -> NDArray[np.int64]:
    """(m, k) ascending places of the k largest numbers of each row of block (m, n)."""
    m, n = block.shape
    last = np.partition(block, n - k, axis=1)[:, n - k, None]
    kept = block >= last
    for i in np.flatnonzero(kept.sum(axis=1) > k):  # a tie at the k-th place
        above = int((block[i] > last[i]).sum())
        kept[i, np.flatnonzero(block[i] == last[i])[k - above :]] = False
    return np.asarray(np.flatnonzero(kept).reshape(m, k) % n)


@dataclass(frozen=True)
class Lists:
    """A sparse matrix by rows: row i holds value[start[i]:start[i + 1]] in columns other[the same]."""

    start: NDArray[np.int64]
    other: Rows
    value: Matrix

    @classmethod
    def of(cls, row: Rows, other: Rows, value: Matrix, shape: tuple[int, int]) -> Lists:
        """From pairs in any order; of equal pairs the first counts."""
        key, kept = np.unique(row * shape[1] + other, return_index=True)
        start = np.searchsorted(key, np.arange(shape[0] + 1) * shape[1])
        return cls(start, other[kept], value[kept])

    def places(self, rows: Rows) -> tuple[Rows, Rows]:
        """(places of all entries of these rows, which of `rows` each belongs to)."""
        length = self.start[rows + 1] - self.start[rows]
        owner = np.repeat(np.arange(len(rows)), length)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
        return self.start[rows][owner] + within, owner


def neighbours(rows: Matrix, k: int, reporter: Reporter) -> Lists:
    """Row -> its k closest rows, those that have it among theirs, and itself, with their products."""
    n = len(rows)
    near, value = closest(rows, rows, k, reporter, same=True)
    itself, one = np.arange(n), np.repeat(np.arange(n), k)
    length = np.round(np.einsum("ij,ij->i", rows, rows), 6)
    return Lists.of(
        np.concatenate([one, near.ravel(), itself]),
        np.concatenate([near.ravel(), one, itself]),
        np.concatenate([value.ravel(), value.ravel(), length]),
        (n, n),
    )
