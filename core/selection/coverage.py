"""Facility location: how well chosen rows cover all rows, and the greedy choice of the next one.

f(S) = sum over covered rows i of weight_i * max over j in S of s_ij, and 0 for nothing: greedy reaches 1 -
1/e of the best (Nemhauser, Wolsey and Fisher 1978). A lazy heap looks again at candidates whose gain may be
the largest. This looks at the covered rows whose best has risen, and takes from all gains what exactly
these stop giving. In k picks a row's best rises about ln k times, whatever the data: n^2 ln k numbers are
read, in contiguous rows.

Own code, since both libraries were slower (`python -m bench.submodular`) and no longer move: apricot-select
0.6.1 of February 2021 has only a source package, brings numba and nose, and its lazy form stays below its own
plain one on real rows; submodlib-py 0.0.3 of May 2025 has no source package and no wheel for Python 3.13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import BLOCK, Matrix, blocks
from core.selection.kernels import Lists
from core.values import Reporter, Rows

Gains = NDArray[np.float64]  # (n,) what each candidate would add now; -inf for one that may not be taken

DENSE_ROWS = 10_000  # all similarities up to here: 400 MB in float32
# Above that so many. Of what all similarities gain over random rows they kept 98 to 99.5 % (1,000 to 5,700 of
# 19,172 real rows); similarities inside k-means clusters only, the other way to save memory, kept 90 to 95 %.
NEIGHBOURS = 128
TIE = 1e-6  # gains closer than this part of the largest are a tie, which goes to the lower row
STALE = 16  # gains are summed anew when the largest is this much smaller: rounding stays far below TIE


@dataclass(frozen=True)
class Dense:
    """All similarities, by covered row (m, n) and by candidate (n, m): one array twice where symmetric."""

    by_row: Matrix
    by_candidate: Matrix
    weight: Matrix

    def gains(self, best: Matrix) -> Gains:
        """A pass over everything, a block at a time."""
        total = np.empty(len(self.by_candidate))
        for part in blocks(len(total), len(best)):
            more = self.by_candidate[part] - best
            total[part] = np.maximum(more, 0, out=more) @ self.weight
        return total

    def column(self, candidate: int) -> tuple[Rows, Matrix]:
        """Every covered row."""
        return np.arange(len(self.weight)), self.by_candidate[candidate]

    def lower(self, gains: Gains, rows: Rows, old: Matrix, new: Matrix) -> None:
        """A few rows at a time, so that the block stays in the cache and float32 sums stay exact enough."""
        rise = (new - old)[:, None]
        step = min(max(BLOCK // 4 // max(self.by_row.shape[1], 1), 1), 64)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            less = np.take(self.by_row, rows[part], axis=0)
            less -= old[part, None]
            gains -= self.weight[rows[part]] @ np.clip(less, 0, rise[part], out=less)


@dataclass(frozen=True)
class Sparse:
    """Similarities to near neighbours only, all others counting as 0: memory in proportion to neighbours."""

    by_row: Lists
    by_candidate: Lists
    weight: Matrix

    def gains(self, best: Matrix) -> Gains:
        """A pass over all entries."""
        lists = self.by_candidate
        n = len(lists.start) - 1
        candidate = np.repeat(np.arange(n), np.diff(lists.start))
        more = np.maximum(lists.value - best[lists.other], 0).astype(np.float64) * self.weight[lists.other]
        return np.asarray(np.bincount(candidate, more, n), dtype=np.float64)

    def column(self, candidate: int) -> tuple[Rows, Matrix]:
        """The rows that have the candidate for a neighbour."""
        part = slice(*self.by_candidate.start[candidate : candidate + 2])
        return self.by_candidate.other[part], self.by_candidate.value[part]

    def lower(self, gains: Gains, rows: Rows, old: Matrix, new: Matrix) -> None:
        """Only the neighbours of these rows lose anything."""
        places, owner = self.by_row.places(rows)
        less = np.clip(self.by_row.value[places] - old[owner], 0, (new - old)[owner])
        np.subtract.at(gains, self.by_row.other[places], less * self.weight[rows][owner])


# s_ij of m covered rows and n candidates, and a weight (m,) of each covered row
Similarity: TypeAlias = Dense | Sparse


def square(rows: Matrix, weight: Matrix) -> Dense:
    """All products of the rows (n, d) with each other, exactly 1 for a row of length 1 with itself."""
    products = rows @ rows.T
    np.fill_diagonal(products, np.round(products.diagonal(), 6))
    return Dense(products, products, weight)


def cover(
    similarity: Similarity,
    open_rows: NDArray[np.bool_],
    held: Rows,
    count: int,
    reporter: Reporter,
    extra: Gains | None = None,
) -> tuple[Rows, Gains, Gains]:
    """Add `count` of the open candidates to the `held` ones, each the one with the largest gain.

    `extra` (n,) is what a candidate is worth by itself, whatever else is chosen. Returns (picked (count,),
    gain of the held and the picked ones (len(held) + count,), gains (n,) at the end, those of chosen
    candidates as they were when taken). Ties go to the lower row.
    """
    alone = np.zeros(len(open_rows)) if extra is None else extra
    best = np.zeros_like(similarity.weight)
    taken = [_take(similarity, best, int(j))[0] for j in held]
    gains = _sum_anew(similarity, best, alone, open_rows)
    summed, chosen = gains.max(initial=0.0), []
    for done in range(count):
        reporter.progress(done, count, "rows")
        if max(top := gains.max(), 0.0) * STALE < summed:
            gains = _sum_anew(similarity, best, alone, np.isfinite(gains))
            summed = top = gains.max()
        j = int((gains >= top - TIE * abs(top)).argmax())
        more, rows, old, new = _take(similarity, best, j)
        similarity.lower(gains, rows, old, new)
        gains[j] = -np.inf
        chosen.append(j)
        taken.append(more)
    order = np.array(chosen, dtype=np.int64)
    mine = np.concatenate([held, order])
    worth = np.array(taken) + alone[mine]
    gains[mine] = worth
    return order, worth, gains


def _sum_anew(similarity: Similarity, best: Matrix, alone: Gains, open_rows: NDArray[np.bool_]) -> Gains:
    return np.where(open_rows, similarity.gains(best) + alone, -np.inf)


def _take(similarity: Similarity, best: Matrix, j: int) -> tuple[float, Rows, Matrix, Matrix]:
    """Raise `best` to what candidate j gives: (gain, rows that rose, from what, to what)."""
    rows, value = similarity.column(j)
    rose = np.flatnonzero(value > best[rows])
    rows, new = rows[rose], value[rose]
    old = best[rows]
    best[rows] = new
    more = float(((new - old).astype(np.float64) * similarity.weight[rows]).sum())
    return more, rows, old, new
