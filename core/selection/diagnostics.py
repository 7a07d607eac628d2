"""How good a selection looks before any training: coverage, redundancy, balance, overlap (selection 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import blocks, nearest
from core.values import Rows


def coverage_radius(x: NDArray[np.floating[Any]], rows: Rows) -> float:
    """Distance from the worst covered row of x (n, d) to its nearest selected row; lower covers better."""
    return float(nearest(x, rows).max(initial=0.0))


def aucpr(x: NDArray[np.floating[Any]], rows: Rows, over: Literal["all", "non_selected"] = "all") -> float:
    """Mean distance to the nearest selected row (Zheng et al.'s coverage measure); lower covers better.

    Over all rows, or over the non-selected only as the D2 repository does (0 when nothing is left).
    """
    gap = nearest(x, rows)
    if over == "non_selected":
        gap = np.delete(gap, rows)
    return float(gap.mean()) if len(gap) else 0.0


def redundancy(x: NDArray[np.floating[Any]], rows: Rows) -> float:
    """Mean over the selected rows of the cosine to the most similar other one, -1 to 1; lower is more varied.

    0 for fewer than two rows; a zero vector has cosine 0 to everything.
    """
    if len(rows) < 2:  # noqa: PLR2004
        return 0.0
    part = np.asarray(x[rows], dtype=np.float64 if x.dtype == np.float64 else np.float32)
    length = np.linalg.norm(part, axis=1, keepdims=True)
    unit = np.divide(part, length, out=np.zeros_like(part), where=length > 0)
    best = np.empty(len(unit))
    for s in blocks(len(unit), len(unit)):
        cosine = unit[s] @ unit.T
        cosine[np.arange(len(cosine)), np.arange(s.start, s.stop)] = -np.inf
        best[s] = cosine.max(axis=1)
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
