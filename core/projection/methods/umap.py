"""UMAP: neighbours stay neighbours, distances between islands mean little; for pictures and before HDBSCAN.

McInnes, Healy, Melville, "UMAP", 2018 (arXiv:1802.03426). Around it: exact duplicates are drawn once,
neighbours are sought on unit rows of PCA-50, the layout starts from two principal components, and shrinking
the axes' empty stretches (`even`) fills the frame. `python -m bench.map` measures it beside umap-learn.
"""

from __future__ import annotations

import warnings
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.projection.base import Matrix, projection
from core.projection.linear import principal, unit_rows
from core.projection.neighbours import nearest, place
from core.projection.quality import BOX
from core.values import Params, Reporter, Rows

INNER = 50  # principal components read; more cost time and change neighbours little
CHUNK = 4096  # rows copied at once
JITTER = 1e-4  # of the unit length of the rows
# Of a picture of so many rows; umap-learn's own 200 were as trustworthy at 19,172 rows and a third slower.
# Before HDBSCAN they are needed: 150 left 25 % of these rows unclustered, 200 left 16 %.
MANY, ROUNDS = 10_000, 150
FEWEST = 8  # distinct rows below which there is no neighbourhood to keep, and PCA draws


class UMAPParams(Params):
    """Shape of the neighbourhoods and of the layout; the defaults are for pictures."""

    n_components: int = Field(2, ge=1, le=50, description="Dimensions; 2 for a map, 10 before HDBSCAN.")
    n_neighbors: int = Field(
        15, ge=2, le=200, description="Neighbours per row; few show detail, many show the whole."
    )
    min_dist: float = Field(
        0.1, ge=0.0, lt=1.0, description="Smallest distance drawn between neighbours; 0 before clustering."
    )
    even: float = Field(
        0.8,
        ge=0.0,
        le=1.0,
        description="Draw far islands in, for maps of 2 dimensions: 0 leaves UMAP's distances, 1 spreads the "
        "rows evenly along each axis. The order along each axis stays.",
    )
    fit_rows: int = Field(
        50_000,
        ge=100,
        description="Distinct rows that UMAP lays out. Of more, a random sample is, and each other row lies "
        "amid its three nearest of these: time then grows with the rows, not with their square.",
    )


@projection(title="UMAP", source="arXiv:1802.03426", version=2)
def umap(vectors: Matrix, params: UMAPParams, seed: int, reporter: Reporter) -> Matrix:
    """(n, n_components); rows with equal vectors share their position. Same seed, same map."""
    distinct, row_of = _distinct(vectors)
    points = unit_rows(principal(vectors if len(distinct) == len(vectors) else vectors[distinct], INNER))
    fitted = np.arange(len(points))
    if len(points) > params.fit_rows:
        fitted = np.sort(np.random.default_rng(seed).permutation(len(points))[: params.fit_rows])
    drawn = _layout(points[fitted], params, seed, reporter)
    if params.n_components == 2 and params.even > 0:  # noqa: PLR2004
        drawn = evened(drawn, params.even)
    placed = _amid(points, fitted, drawn)
    reporter.progress(len(vectors), len(vectors), "rows drawn")
    return placed[row_of]


def _distinct(vectors: Matrix) -> tuple[Rows, Rows]:
    """First rows of the distinct vectors, and for each row its place among them.

    A text that occurs a hundred times would otherwise be its own closed neighbourhood and stretch the map.
    """
    first: dict[bytes, int] = {}  # digests: the vectors themselves would fill the memory a second time
    rows: list[int] = []
    place_of = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), CHUNK):
        chunk = vectors[start : start + CHUNK] + np.float32(0)  # + 0: -0.0 and 0.0 are the same number
        for row, vector in enumerate(chunk, start):
            key = blake2b(vector, digest_size=16).digest()
            if key not in first:
                first[key] = len(rows)
                rows.append(row)
            place_of[row] = first[key]
    return np.array(rows, dtype=np.int64), place_of


def _layout(points: Matrix, params: UMAPParams, seed: int, reporter: Reporter) -> Matrix:
    """(n, n_components) positions of distinct unit rows, laid out by umap-learn.

    It starts from principal components and ready neighbours, exact and found in seconds, where its own search
    would be compiled first. Given a seed it lays out on one thread.
    """
    start = np.zeros((len(points), params.n_components), dtype=np.float32)
    linear = principal(points, params.n_components)
    start[:, : linear.shape[1]] = linear
    if len(points) < FEWEST:
        return start
    reporter.progress(0, 2, "steps of UMAP (finding neighbours)")
    near = min(params.n_neighbors, len(points) - 1)
    picture = params.n_components == 2  # noqa: PLR2004 - as many as a screen has
    rows, distances = nearest(points, near)
    reporter.progress(1, 2, "steps of UMAP (neighbours found)")
    with warnings.catch_warnings():
        # umap-learn misses a library that only its parametric form needs, and says that new rows cannot be
        # added to a map made from ready neighbours; neither is wanted here
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        warnings.filterwarnings("ignore", message="precomputed_knn", category=UserWarning)
        from umap import UMAP

        model = UMAP(
            n_components=params.n_components,
            n_neighbors=near,
            min_dist=params.min_dist,
            metric="cosine",
            # umap-learn divides by the range of each column of its start: none may be constant
            init=start + np.random.default_rng(seed).normal(0.0, JITTER, start.shape).astype(np.float32),
            precomputed_knn=(rows, distances),
            n_epochs=ROUNDS if picture and len(points) > MANY else None,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(points), dtype=np.float32)


def _amid(points: Matrix, fitted: Rows, drawn: Matrix) -> Matrix:
    """(n, c) positions of all rows, of which the `fitted` ones are `drawn`."""
    if len(fitted) == len(points):
        return drawn
    others = np.setdiff1d(np.arange(len(points)), fitted, assume_unique=True)
    placed = np.empty((len(points), drawn.shape[1]), dtype=np.float32)
    placed[fitted] = drawn
    placed[others] = place(points[others], points[fitted], drawn)
    return placed


def evened(xy: NDArray[np.float32], share: float) -> Matrix:
    """(n, 2) in about [0, 1]: each axis is a blend of its values and of their ranks (`share` of the ranks).

    Far islands stretch an axis with space that holds no row; ranks know no empty space. A blend keeps the
    order along each axis, and so the neighbourhoods, while empty stretches shrink.
    """
    low, high = np.percentile(xy, BOX, axis=0)
    plain = (xy - low) / np.where(high > low, high - low, 1.0)
    ranks = np.empty_like(plain)
    for axis in range(xy.shape[1]):
        distinct, place_of = np.unique(xy[:, axis], return_inverse=True)
        ranks[:, axis] = place_of / max(len(distinct) - 1, 1)
    return np.asarray((1.0 - share) * plain + share * ranks, dtype=np.float32)
