"""UMAP: neighbours stay neighbours, distances between islands mean little; for pictures and before HDBSCAN.

McInnes, Healy, Melville, "UMAP", 2018 (arXiv:1802.03426). Around it, measured on 19,172 rows of real text
(share of a 60 x 60 grid filled / trustworthiness): exact duplicates are drawn once and neighbours are sought
on unit rows of PCA-50, which fills the frame to 0.35 / 0.935; shrinking the axes' empty stretches (`even`)
gives 0.52 / 0.935. `python -m bench.signals` measures it again.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.projection.base import Matrix, projection
from core.projection.linear import principal, unit_rows
from core.projection.quality import BOX
from core.values import Params, Reporter, Rows

INNER = 50  # principal components read; more cost time and change neighbours little
EXACT = 50_000  # rows up to which all pairs are compared: repeatable, and seconds instead of a compilation
BLOCK = 512  # rows compared with all others at once
JITTER = 1e-4  # of the unit length of the rows
FEWEST = 8  # distinct rows below which there is no neighbourhood to keep, and PCA draws


class UMAPParams(Params):
    """Shape of the neighbourhoods and of the layout; the defaults are for pictures."""

    n_components: int = Field(2, ge=1, le=50, description="Dimensions; 2 for a map, 10 before HDBSCAN.")
    n_neighbors: int = Field(
        30, ge=2, le=200, description="Neighbours per row; few show detail, many show the whole."
    )
    min_dist: float = Field(
        0.3, ge=0.0, lt=1.0, description="Smallest distance drawn between neighbours; 0 before clustering."
    )
    even: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Draw far islands in, for maps of 2 dimensions: 0 leaves UMAP's distances, 1 spreads the "
        "rows evenly along each axis. The order along each axis stays.",
    )


@projection(title="UMAP", source="arXiv:1802.03426")
def umap(vectors: Matrix, params: UMAPParams, seed: int, reporter: Reporter) -> Matrix:
    """(n, n_components); rows with equal vectors share their position. Same seed, same map."""
    distinct, row_of = _distinct(vectors)
    points = unit_rows(principal(vectors[distinct], INNER))
    start = np.zeros((len(points), params.n_components), dtype=np.float32)
    linear = principal(points, params.n_components)
    start[:, : linear.shape[1]] = linear
    reporter.progress(1, 3, "steps of UMAP (distinct rows found)")
    layout = start if len(points) < FEWEST else _layout(points, start, params, seed, reporter)
    if params.n_components == 2 and params.even > 0:  # noqa: PLR2004
        layout = evened(layout, params.even)
    reporter.progress(3, 3, "steps of UMAP")
    return layout[row_of]


def _distinct(vectors: Matrix) -> tuple[Rows, Rows]:
    """First rows of the distinct vectors, and for each row its place among them.

    A text that occurs a hundred times would otherwise be its own closed neighbourhood and stretch the map.
    """
    first: dict[bytes, int] = {}
    rows: list[int] = []
    place = np.empty(len(vectors), dtype=np.int64)
    for row, vector in enumerate(vectors + np.float32(0)):  # + 0: -0.0 and 0.0 are the same number
        key = vector.tobytes()
        if key not in first:
            first[key] = len(rows)
            rows.append(row)
        place[row] = first[key]
    return np.array(rows, dtype=np.int64), place


def _layout(points: Matrix, start: Matrix, params: UMAPParams, seed: int, reporter: Reporter) -> Matrix:
    """Run umap-learn on unit rows, from their principal components."""
    with warnings.catch_warnings():
        # umap-learn misses a library that only its parametric form needs, and says that new rows cannot be
        # added to a map made from ready neighbours; neither is wanted here
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        warnings.filterwarnings("ignore", message="precomputed_knn", category=UserWarning)
        from umap import UMAP

        # umap-learn divides by the range of each column of its start: none may be constant
        start = start + np.random.default_rng(seed).normal(0.0, JITTER, start.shape).astype(np.float32)
        near = min(params.n_neighbors, len(points) - 1)
        known = nearest(points, near) if len(points) <= EXACT else (None, None, None)
        reporter.progress(2, 3, "steps of UMAP (neighbours found)")
        model = UMAP(
            n_components=params.n_components,
            n_neighbors=near,
            min_dist=params.min_dist,
            metric="cosine",
            init=start,
            precomputed_knn=known,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(points), dtype=np.float32)


def nearest(points: Matrix, k: int) -> tuple[NDArray[np.int64], Matrix]:
    """(n, k) the rows of largest cosine, the row itself first, and their cosine distances; exact."""
    rows = np.empty((len(points), k), dtype=np.int64)
    distances = np.empty((len(points), k), dtype=np.float32)
    for start in range(0, len(points), BLOCK):
        block = 1.0 - points[start : start + BLOCK] @ points.T
        own = np.arange(len(block))
        block[own, start + own] = -1.0  # rounding must not put a neighbour before the row itself
        found = np.argpartition(block, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(block, found, axis=1)
        order = np.argsort(near, axis=1, kind="stable")
        rows[start : start + BLOCK] = np.take_along_axis(found, order, axis=1)
        distances[start : start + BLOCK] = np.maximum(np.take_along_axis(near, order, axis=1), 0.0)
    return rows, distances


def evened(xy: Matrix, share: float) -> Matrix:
    """(n, 2) in about [0, 1]: each axis is a blend of its values and of their ranks (`share` of the ranks).

    Far islands stretch an axis with space that holds no row; ranks know no empty space. A blend keeps the
    order along each axis, and so the neighbourhoods, while empty stretches shrink.
    """
    low, high = np.percentile(xy, BOX, axis=0)
    plain = (xy - low) / np.where(high > low, high - low, 1.0)
    ranks = np.empty_like(plain)
    for axis in range(xy.shape[1]):
        distinct, place = np.unique(xy[:, axis], return_inverse=True)
        ranks[:, axis] = place / max(len(distinct) - 1, 1)
    return np.asarray((1.0 - share) * plain + share * ranks, dtype=np.float32)
