"""How good a map is: whether it fills its frame, and whether neighbours on it are neighbours in truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.projection.neighbours import largest

CELLS = 60
BOX = (0.3, 99.7)  # percentiles: what is drawn when a map is framed without its outliers
AT_ONCE = 20_000_000  # distances held at once
CHUNK = 16_384  # rows normalised at once


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
    rows = np.random.default_rng(seed).permutation(n)[:sample]
    at_once = max(AT_ONCE // n, 1)
    penalty = 0
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        true, drawn = _from(part, vectors), _drawn_from(part, xy)
        own = np.arange(len(part))
        true[own, part] = drawn[own, part] = -np.inf  # a row is its own neighbour 0, before its duplicates
        for distances, shown in zip(true, largest(-drawn, k + 1)[:, 1:], strict=True):
            penalty += sum(max(_rank(distances, neighbour) - k, 0) for neighbour in shown)
    return float(1.0 - 2.0 * penalty / (len(rows) * k * (2 * n - 3 * k - 1)))


def _from(part: NDArray[np.int64], vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """(b, n) cosine distances of the rows of `part` from all rows."""
    near = _unit(vectors[part])
    blocks = [near @ _unit(vectors[s : s + CHUNK]).T for s in range(0, len(vectors), CHUNK)]
    return np.asarray(1.0 - np.concatenate(blocks, axis=1))


def _drawn_from(part: NDArray[np.int64], xy: NDArray[np.floating]) -> NDArray[np.floating]:
    """(b, n) squared distances of the rows of `part` from all rows, on the map."""
    return np.asarray(sum(np.square(axis[None, :] - axis[part][:, None]) for axis in xy.T))


def _unit(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.finfo(np.float32).tiny))


def _rank(distances: NDArray[np.floating], row: int) -> int:
    """How many rows lie nearer than `row`; of equally near ones the earlier count as nearer."""
    its = distances[row]
    return int(np.count_nonzero(distances < its) + np.count_nonzero(distances[:row] == its))
