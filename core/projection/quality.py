"""How good a map is: whether it fills its frame, and whether neighbours on it are neighbours in truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELLS = 60
BOX = (0.3, 99.7)  # percentiles: what is drawn when a map is framed without its outliers


def frame_fill(xy: NDArray[np.floating]) -> float:
    """Share in [0, 1] of the 60 x 60 cells of the map's frame that hold a point; higher is fuller.

    The frame is the box between the 0.3 and 99.7 percentiles of each axis.
    """
    low, high = np.percentile(xy[:, :2], BOX, axis=0)
    span = np.where(high > low, high - low, 1.0)
    cell = np.floor((xy[:, :2] - low) / span * CELLS).astype(np.int64)
    cell = np.where(xy[:, :2] == high, CELLS - 1, cell)  # the upper edge belongs to the last cell
    inside = ((cell >= 0) & (cell < CELLS)).all(axis=1)
    return len(np.unique(cell[inside] @ np.array([CELLS, 1]))) / CELLS**2


def trustworthiness(
    vectors: NDArray[np.floating],
    xy: NDArray[np.floating],
    *,
    neighbours: int = 15,
    sample: int = 1000,
    seed: int = 0,
) -> float:
    """How far the map's neighbourhoods hold only true neighbours, in [0, 1], higher is better.

    Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN 2001, equation 1;
    cosine in the space of `vectors`, Euclidean on the map. The neighbourhoods of `sample` rows are checked
    against all rows.
    """
    n = len(vectors)
    k = min(neighbours, (n - 1) // 2)
    if k < 1:
        return 1.0
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    rows = np.random.default_rng(seed).permutation(n)[:sample]
    penalty = 0.0
    for row in rows:
        true = 1.0 - unit @ unit[row]
        drawn = np.square(xy - xy[row]).sum(axis=1)
        true[row] = drawn[row] = -np.inf  # a row is its own neighbour 0, before its duplicates
        rank = np.empty(n, dtype=np.int64)
        rank[np.argsort(true, kind="stable")] = np.arange(n)
        nearest = np.argsort(drawn, kind="stable")[1 : k + 1]
        penalty += np.maximum(rank[nearest] - k, 0).sum()
    return float(1.0 - 2.0 * penalty / (len(rows) * k * (2 * n - 3 * k - 1)))
