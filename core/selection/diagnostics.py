"""How good a selection looks before any training: coverage, redundancy, balance, overlap (selection 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import nearest, tiles, unit
from core.values import Rows


def fixed_sample(n: int, most: int | None) -> Rows:
    """All n rows, or `most` of them drawn with a fixed seed: the same rows for every selection; ascending."""
    if most is None or n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:most])


@dataclass(frozen=True)
class Coverage:
    """How near the rows are to a selection; lower covers better."""

    radius: float  # distance of the worst covered row to its nearest selected row
    aucpr: float  # mean of those distances (Zheng et al.'s coverage measure)
    measured: int  # rows looked at
    rows: int  # rows there are; if more than `measured`, aucpr is an estimate and radius a lower bound

    @property
    def exact(self) -> bool:
        """Whether every row was looked at."""
        return self.measured == self.rows


def coverage(x: NDArray[np.floating[Any]], rows: Rows, most: int | None = None) -> Coverage:
    """Coverage of x (n, d) by the selected `rows`, over all n rows or a fixed sample of at most `most`."""
    sample = fixed_sample(len(x), most)
    gap = nearest(x, rows, sample)
    return Coverage(float(gap.max(initial=0.0)), float(gap.mean()) if len(gap) else 0.0, len(sample), len(x))


def coverage_radius(x: NDArray[np.floating[Any]], rows: Rows) -> float:
    """Distance from the worst covered row of x (n, d) to its nearest selected row; lower covers better."""
    return coverage(x, rows).radius


def aucpr(x: NDArray[np.floating[Any]], rows: Rows, over: Literal["all", "non_selected"] = "all") -> float:
    """Mean distance to the nearest selected row (Zheng et al.'s coverage measure); lower covers better.

    Over all rows, or over the non-selected only as the D2 repository does (0 when nothing is left).
    """
    rest = len(x) - len(rows) if over == "non_selected" else len(x)
    return coverage(x, rows).aucpr * len(x) / rest if rest else 0.0  # a selected row is 0 from itself


def redundancy(x: NDArray[np.floating[Any]], rows: Rows, most: int | None = None) -> float:
    """Mean over the selected rows of the cosine to the most similar other one, -1 to 1; lower is more varied.

    0 for fewer than two rows; a zero vector has cosine 0 to everything. Where more than `most` rows are
    selected it is an estimate: the mean over a fixed sample of these, each against all the selected.
    """
    if len(rows) < 2:  # noqa: PLR2004
        return 0.0
    chosen = unit(x[rows], np.float64 if x.dtype == np.float64 else np.float32)
    sample = fixed_sample(len(rows), most)
    best, looked = np.full(len(sample), -np.inf), chosen[sample]
    for s, c in tiles(len(sample), len(chosen)):
        cosine = looked[s] @ chosen[c].T
        own = np.flatnonzero((sample[s] >= c.start) & (sample[s] < c.stop))
        cosine[own, sample[s][own] - c.start] = -np.inf
        best[s] = np.maximum(best[s], cosine.max(axis=1))
    return float(np.clip(best, -1.0, 1.0).mean())


@dataclass(frozen=True)
class Balance:
    """Labels (C,) in the selection against the pool; a row may carry several, so shares may sum past 1."""

    names: tuple[str, ...]
    pool_rows: NDArray[np.int64]
    selected_rows: NDArray[np.int64]
    pool_share: NDArray[np.float64]  # of all rows
    selected_share: NDArray[np.float64]  # of the selected rows
    kl: float  # nats, selected against pool, over label counts; 0 = same mix; nothing selected = 0


def balance(member: NDArray[np.bool_], names: Sequence[str], rows: Rows) -> Balance:
    """Balance of labels given as a membership matrix (n, C)."""
    pool, chosen = member.sum(axis=0), member[rows].sum(axis=0)
    n, k = max(len(member), 1), max(len(rows), 1)
    return Balance(tuple(names), pool, chosen, pool / n, chosen / k, _kl(chosen, pool))


def label_balance(labels: NDArray[Any], rows: Rows) -> Balance:
    """Balance of one label per row (behaviour, cluster), (n,); names in ascending order."""
    names, place = np.unique(labels, return_inverse=True)
    member = place[:, None] == np.arange(len(names))
    return balance(member, [str(n) for n in names], rows)


def _kl(chosen: NDArray[np.int64], pool: NDArray[np.int64]) -> float:
    """KL divergence of two count vectors; every chosen label is in the pool, so it is finite."""
    if chosen.sum() == 0:
        return 0.0
    p, q = chosen / chosen.sum(), pool / pool.sum()
    seen = p > 0
    return max(float((p[seen] * np.log(p[seen] / q[seen])).sum()), 0.0)


def jaccard(a: Iterable[int], b: Iterable[int]) -> float:
    """Shared rows over all rows of two selections, 0 to 1; two empty ones are the same (1)."""
    left, right = set(map(int, a)), set(map(int, b))
    return len(left & right) / len(left | right) if left | right else 1.0


def expected_jaccard(a: int, b: int, n: int) -> float:
    """About the Jaccard of two random selections of a and b of n rows: alpha / (2 - alpha) where a = b."""
    shared = a * b / n if n else 0.0
    return shared / (a + b - shared) if a + b else 1.0
