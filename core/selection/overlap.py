"""What several selections of the same rows share: Jaccard beside chance, and the bars of an UpSet plot.

Lex et al., "UpSet: Visualization of Intersecting Sets", IEEE TVCG 2014: exclusive intersections.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.selection.diagnostics import expected_jaccard
from core.values import Rows

Intersection = tuple[tuple[int, ...], int]  # (selections by their places, rows that are in exactly these)


def members(selections: Sequence[Rows], n: int) -> NDArray[np.bool_]:
    """(k, n) whether selection i holds row j."""
    member = np.zeros((len(selections), n), dtype=bool)
    for place, rows in enumerate(selections):
        member[place, rows] = True
    return member


def jaccard_matrix(selections: Sequence[Rows], n: int) -> NDArray[np.float64]:
    """(k, k) shared rows over all rows of each two selections, 0 to 1; two empty ones are the same (1)."""
    member = members(selections, n).astype(np.float64)
    shared = member @ member.T
    size = np.diag(shared)
    union = size[:, None] + size[None] - shared
    return np.divide(shared, union, out=np.ones_like(shared), where=union > 0)


def expected_matrix(selections: Sequence[Rows], n: int) -> NDArray[np.float64]:
    """(k, k) about the Jaccard of two random selections of these sizes; 1 on the diagonal."""
    sizes = [len(rows) for rows in selections]
    expected = np.array([[expected_jaccard(a, b, n) for b in sizes] for a in sizes], dtype=np.float64)
    expected = expected.reshape(len(sizes), len(sizes))
    np.fill_diagonal(expected, 1.0)
    return expected


def exclusive(selections: Sequence[Rows], n: int) -> list[Intersection]:
    """Every non-empty set of rows that exactly the same selections hold, the largest first.

    Ties: fewer selections first, then by their places. The counts sum to the rows that any selection holds.
    """
    place = np.arange(len(selections), dtype=np.int64)
    pattern = (1 << place) @ members(selections, n)  # (n,) one bit per selection: a set of arms as a number
    counts = np.bincount(pattern, minlength=1)
    found = [
        (tuple(place[code >> place & 1 == 1].tolist()), int(counts[code]))
        for code in np.flatnonzero(counts)
        if code  # rows that no selection holds
    ]
    return sorted(found, key=lambda part: (-part[1], len(part[0]), part[0]))
