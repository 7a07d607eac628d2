"""Which points lie inside a drawn polygon: the one rule behind box and lasso, at any size of pool.

Even-odd rule: a point is inside when a ray to the right crosses the outline an odd number of times. A point
on the lower or left side of an edge counts as inside, so polygons that share an edge never share a point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import BadInput
from core.values import Rows

CORNERS = 3  # fewer enclose nothing


def box(x: Sequence[float], y: Sequence[float]) -> NDArray[np.float64]:
    """The four corners of the box spanned by two x and two y values, (4, 2)."""
    (left, right), (bottom, top) = sorted(x[:2]), sorted(y[:2])
    return np.array([(left, bottom), (right, bottom), (right, top), (left, top)], dtype=np.float64)


def select_by_polygon(coords: ArrayLike, polygon: ArrayLike) -> Rows:
    """Row numbers of the points inside the polygon, ascending.

    `coords` is (n, 2); `polygon` is (m, 2), closed by itself, in the same units. A point with a missing
    coordinate is never inside; fewer than three corners hold nothing.
    """
    points, corners = np.asarray(coords, dtype=np.float64), np.asarray(polygon, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or corners.ndim != 2 or corners.shape[1] != 2:  # noqa: PLR2004
        raise BadInput(
            f"a polygon needs points (n, 2) and corners (m, 2), got {points.shape} and {corners.shape}"
        )
    if len(corners) < CORNERS or not len(points):
        return np.zeros(0, dtype=np.int64)
    near = ((points >= corners.min(axis=0)) & (points <= corners.max(axis=0))).all(axis=1)
    rows = np.flatnonzero(near)  # the bounding box leaves few points to the exact test
    rows = rows[np.argsort(points[rows, 1], kind="stable")]
    x, y = points[rows, 0], points[rows, 1]  # sorted by y: an edge only meets one slice of them
    inside = np.zeros(len(rows), dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        first, last = np.searchsorted(
            y, (min(y1, y2), max(y1, y2)), side="left"
        )  # half open: a corner counts once
        crossing = x1 + (y[first:last] - y1) * ((x2 - x1) / (y2 - y1))
        inside[first:last] ^= x[first:last] < crossing
    return np.sort(rows[inside]).astype(np.int64)
