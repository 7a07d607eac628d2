"""SemDeDup: a filter before any strategy that sets near-duplicates aside.

Abbas et al. 2023, "SemDeDup: Data-efficient learning at web-scale through semantic deduplication"
(arXiv:2303.09540), rule of the authors' code (selection 9.3); clusters are those of the pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.selection.allocation import group_rows
from core.selection.base import Candidates
from core.selection.distance import BLOCK, unit
from core.values import Rows, SemDedup

SPACE = "embedding"
ROUNDING = 1e-6  # the cosine of two equal rows in float32 may come out as 0.9999999
KEPT = -1


def dedup_needs(dedup: SemDedup) -> tuple[str, ...]:
    """What must be there before near-duplicates can be found."""
    return (f"vectors:{SPACE}", f"cluster:{dedup.clusters}")


def near_duplicates(candidates: Candidates, dedup: SemDedup, rng: np.random.Generator) -> Rows:
    """(n,) for each row that is set aside the row that stands for it, else -1.

    In every cluster rows are looked at one after another, `keep` says in which order, pins first: a row whose
    cosine to an earlier one is above 1 - eps is set aside. As in the source the earlier one may itself have
    been set aside; what stands for both is the row at the end of that chain. Pins are never set aside, banned
    rows stand for nobody.
    """
    labels = candidates.clusters[dedup.clusters]
    vectors, pinned = candidates.vectors[SPACE], candidates.pinned
    draw = rng.permutation(candidates.n)
    stands = np.full(candidates.n, KEPT, dtype=np.int64)
    for members in group_rows(labels, candidates.usable).values():
        x = unit(vectors[members], vectors.dtype)
        key = (
            draw[members] if dedup.keep == "random" else _centrality(x) * (1 if dedup.keep == "hard" else -1)
        )
        order = np.lexsort((members, key, ~pinned[members]))
        earlier = _earlier_twin(x[order], 1.0 - dedup.eps - ROUNDING)
        rows = members[order]
        earlier[pinned[rows]] = KEPT
        for place in np.flatnonzero(earlier != KEPT):  # in order: the earlier row is settled already
            twin = earlier[place]
            stands[rows[place]] = rows[twin] if stands[rows[twin]] == KEPT else stands[rows[twin]]
    return stands


def _centrality(x: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(m,) cosine to the direction of the mean, rounded so that equal rows tie whatever their place."""
    middle = x.mean(axis=0, dtype=np.float64)
    cosine = x @ (middle / max(float(np.linalg.norm(middle)), 1e-12))
    return np.asarray(np.round(cosine, 6), dtype=np.float64)


def _earlier_twin(x: NDArray[np.floating[Any]], bound: float) -> Rows:
    """(m,) place of the first earlier row with a cosine above `bound`, else -1; blocks, never (m, m)."""
    m = len(x)
    twin = np.full(m, KEPT, dtype=np.int64)
    step = max(BLOCK // max(m, 1), 16)
    for start in range(0, m, step):
        stop = min(start + step, m)
        close = x[start:stop] @ x[:stop].T > bound
        close &= np.arange(stop)[None] < np.arange(start, stop)[:, None]
        found = close.argmax(axis=1)
        twin[start:stop] = np.where(close[np.arange(stop - start), found], found, KEPT)
    return twin
