"""Selection strategies as one would first write them in numpy: what ours is measured against."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.selection import Candidates

Rows: TypeAlias = NDArray[np.int64]
Plain: TypeAlias = Callable[[Candidates, int], Rows]


def plain_uniform(pool: Candidates, budget: int) -> Rows:
    """One call."""
    return np.random.default_rng(0).choice(pool.n, budget, replace=False)


def plain_ccs(pool: Candidates, budget: int) -> Rows:
    """Fifty strata, each found by a pass over all scores."""
    rng, score = np.random.default_rng(0), pool.scores["el2n"].values
    kept = np.argsort(score)[: int(0.9 * pool.n)]
    edges = np.linspace(score[kept].min(), score[kept].max(), 51)
    bins = [kept[(score[kept] >= a) & (score[kept] < b)] for a, b in pairwise(edges)]
    bins, left, picked = sorted(bins, key=len), budget, []
    for i, rows in enumerate(bins):
        take = min(len(rows), left // (50 - i))
        picked.append(rng.choice(rows, take, replace=False))
        left -= take
    return np.concatenate(picked)


def plain_sss(pool: Candidates, budget: int) -> Rows:
    """An equal share of every category, rarest first, each found by a pass over all rows."""
    assert pool.categories is not None
    rng, free = np.random.default_rng(0), np.ones(pool.n, dtype=bool)
    picked, order = [], np.argsort(pool.categories.sum(axis=0))
    for c in order:
        rows = np.flatnonzero(pool.categories[:, c] & free)
        picked.append(rng.choice(rows, min(len(rows), budget // len(order)), replace=False))
        free[picked[-1]] = False
    rest = budget - sum(map(len, picked))
    return np.concatenate([*picked, rng.choice(np.flatnonzero(free), rest, replace=False)])


def cluster_distances(pool: Candidates) -> tuple[Rows, NDArray[np.float64], NDArray[np.float64]]:
    """(names (k,), own (n,), other (n,)): the full table of distances, one centroid at a time."""
    x, labels = pool.vectors["pca50"], pool.clusters["kmeans"]
    names = np.unique(labels)
    d = np.stack([np.linalg.norm(x - x[labels == c].mean(axis=0), axis=1) for c in names], axis=1)
    place = np.searchsorted(names, labels)
    own = d[np.arange(pool.n), place]
    d[np.arange(pool.n), place] = np.inf
    return names, own, d.min(axis=1)


def plain_saps(pool: Candidates, budget: int) -> Rows:
    """Both ends of each cluster in a loop."""
    labels = pool.clusters["kmeans"]
    names, own, other = cluster_distances(pool)
    picked: list[int] = []
    for c in names:
        rows = np.flatnonzero(labels == c)
        b = round(budget * len(rows) / pool.n)
        edge = rows[np.argsort(-own[rows] / other[rows])][: b // 2]
        heart = [r for r in rows[np.argsort(own[rows])] if r not in set(edge.tolist())]
        picked += [*edge.tolist(), *heart[: b - len(edge)]]
    return np.array(picked)


def utilities(pool: Candidates) -> NDArray[np.float64]:
    """(4, n) ranks of cluster boundaries, of score strata's rounds, of types and of a score, one by one."""
    labels, rng = pool.clusters["kmeans"], np.random.default_rng(0)
    names, own, other = cluster_distances(pool)
    saps, ccs = np.zeros(pool.n), np.zeros(pool.n)
    for c in names:
        rows = np.flatnonzero(labels == c)
        saps[rows[np.argsort(-own[rows] / other[rows])]] = 1 - np.arange(len(rows)) / len(rows)
    score = pool.scores["el2n"].values
    bins = np.digitize(score, np.linspace(score.min(), score.max(), 51)[1:-1])
    for b in range(50):
        rows = rng.permutation(np.flatnonzero(bins == b))
        ccs[rows] = 1 - np.arange(len(rows)) / max(len(rows), 1)
    worth = {"T1": 1.0, "T2": 0.5, "T3": 0.25, "T4": 0.0}
    behaviour = np.array([worth[kind] for kind in pool.behaviour]) if pool.behaviour is not None else saps
    loss = np.argsort(np.argsort(-pool.scores["loss"].values)) / pool.n
    return np.stack([saps, ccs, behaviour, loss])


def plain_blend(pool: Candidates, budget: int) -> Rows:
    """Everything anew, then a full sort."""
    return np.argsort(-(utilities(pool) * [[1.0], [1.0], [1.0], [0.5]]).sum(axis=0))[:budget]


def plain_k_center(x: NDArray[np.float32], budget: int) -> tuple[Rows, NDArray[np.float64]]:
    """(rows, covering radius after each): one pass over the data per pick."""
    picked = [int(np.linalg.norm(x - x.mean(axis=0), axis=1).argmin())]
    gap, radius = np.linalg.norm(x - x[picked[0]], axis=1), []
    while True:
        gap[picked[-1]] = -1.0
        radius.append(max(float(gap.max()), 0.0))
        if len(picked) == budget:
            return np.array(picked), np.array(radius)
        picked.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(x - x[picked[-1]], axis=1))


PLAIN: dict[str, tuple[Plain, bool]] = {  # name -> the plain way, and whether it is quick at a million rows
    "uniform": (plain_uniform, True),
    "ccs": (plain_ccs, True),
    "sss": (plain_sss, True),
    "saps": (plain_saps, False),
    "blend, first": (plain_blend, False),
    "blend, slider": (plain_blend, False),  # without anything remembered, a slider costs as much as the first
}
