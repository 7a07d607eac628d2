"""How far each row is from the heart of its cluster: boundary scores, and the two ends SAPS samples from.

Selection 2.1, a reconstruction. The two readings of "boundary", far from the own centroid and near another
cluster, differ on the outer rim, so both are offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import MissingInput
from core.selection.allocation import group_rows
from core.selection.base import Candidates
from core.selection.distance import blocks, centred, squared_distances, squares
from core.values import Params, Rows

Boundary = Literal["ratio", "centroid", "margin", "membership"]

NOISE = -1
FAR = 1e9  # a row on another centroid has an infinite ratio; finite, so that it can be stored


class BoundaryParams(Params):
    """The settings of everything that samples cluster boundaries and centres."""

    clusters: Literal["kmeans", "hdbscan"] = Field(
        "kmeans", description="Clustering whose groups are sampled."
    )
    space: Literal["embedding", "pca50", "umap10"] = Field(
        "pca50", description="Vector space in which distances to centroids are measured."
    )
    boundary: Boundary = Field(
        "ratio",
        description="What makes a row a boundary row: ratio of distances to own and nearest other centroid, "
        "distance to the own centroid, margin between the two, or 1 - membership probability.",
    )
    rho: float = Field(
        0.5, ge=0.0, le=1.0, description="Share of each cluster's rows taken from its boundary."
    )


def boundary_needs(params: BoundaryParams) -> tuple[str, ...]:
    """What must be there: clusters and vectors are made elsewhere, never here."""
    return (f"cluster:{params.clusters}", f"vectors:{params.space}")


@dataclass(frozen=True)
class Geometry:
    """Each row against the clusters."""

    labels: NDArray[np.integer[Any]]  # (n,), -1 marks noise
    own: NDArray[np.float64]  # (n,) distance to the own centroid; noise: to the nearest one
    score: NDArray[np.float64]  # (n,) higher is nearer the boundary
    identical: bool  # all rows are one point, so neither end means anything

    def members(self, mask: NDArray[np.bool_]) -> dict[int, Rows]:
        """Cluster label -> its masked rows, ascending; noise (-1) is a group of its own."""
        return group_rows(self.labels, mask)

    def rank(self, rows: Rows) -> tuple[Rows, Rows]:
        """The rows from the boundary inwards, and from the centre outwards; ties by row number."""
        return rows[np.lexsort((rows, -self.score[rows]))], rows[np.lexsort((rows, self.own[rows]))]


def geometry(candidates: Candidates, params: BoundaryParams) -> Geometry:
    """Distances and boundary scores of every row, in the space and clustering that `params` name."""
    x, labels = candidates.vectors[params.space], candidates.clusters[params.clusters]
    own, other = centroid_distances(x, labels)
    member = None
    if params.boundary == "membership":
        if params.clusters not in candidates.membership:
            raise MissingInput(
                f"boundary = membership needs the membership probabilities of {params.clusters}; "
                "cluster again with hdbscan, or choose another boundary"
            )
        member = np.asarray(candidates.membership[params.clusters], dtype=np.float64)
    score = boundary_score(params.boundary, own, other, labels, member)
    return Geometry(labels, own, score, bool((x == x[:1]).all()))


def centroid_distances(
    x: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(own, other): distances (n,) to the own and the nearest other centroid, infinity where there is none.

    Noise has no centroid: a noise row is measured as if it belonged to the nearest cluster, and a pool of
    nothing but noise against its mean.
    """
    real = labels != NOISE
    groups = group_rows(labels, real) or {NOISE: np.arange(len(labels))}
    work = centred(x)
    middle = np.stack([work[rows].mean(axis=0, dtype=np.float64) for rows in groups.values()])  # (k, d)
    column = np.searchsorted(np.array(list(groups)), labels)
    own, other = np.empty(len(x)), np.full(len(x), np.inf)
    size = squares(middle)
    for s in blocks(len(x), max(middle.shape)):
        part = work[s].astype(np.float64)
        d = squared_distances(part, middle, squares(part), size)
        place = np.where(real[s], np.minimum(column[s], len(middle) - 1), d.argmin(axis=1))
        own[s] = np.linalg.norm(part - middle[place], axis=1)  # not by the product: 0 must come out as 0
        d[np.arange(len(part)), place] = np.inf
        other[s] = np.sqrt(d.min(axis=1))
    return own, other


def boundary_score(
    kind: Boundary,
    own: NDArray[np.float64],
    other: NDArray[np.float64],
    labels: NDArray[np.integer[Any]],
    member: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(n,) boundary score, higher is nearer the boundary (selection 2.1); with one cluster always centroid.

    Rounded to twelve digits, so that equal rows tie whatever block they were computed in.
    """
    if kind == "membership" and member is not None:
        return 1.0 - member
    if kind == "centroid" or np.isinf(other).any():
        widest = np.zeros(len(own))
        for rows in group_rows(labels, np.ones(len(own), dtype=bool)).values():
            widest[rows] = own[rows].max()
        score = np.divide(own, widest, out=np.zeros_like(own), where=widest > 0)
    elif kind == "margin":
        score = own - other
    else:
        score = np.full(len(own), FAR)
        np.divide(own, other, out=score, where=other > own / FAR)
        score[own == 0] = 0.0
    return np.asarray(np.round(score, 12), dtype=np.float64)


def boundary_part(rho: float, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of `counts` rows are boundary rows: round half up of rho * count."""
    part: NDArray[np.int64] = np.floor(rho * counts + 0.5 + 1e-9).astype(np.int64)
    return part  # 1e-9: 0.29 * 50 is 14.5, not 14.4999


def edge_share(label: int, size: int, rho: float) -> float:
    """rho, but noise has no centre (1) and a cluster of one row no boundary (0) (selection 2.3)."""
    return 1.0 if label == NOISE else 0.0 if size == 1 else rho


def two_ended(geo: Geometry, label: int, rows: Rows, rho: float) -> tuple[Rows, NDArray[np.bool_]]:
    """All `rows` of one cluster in priority order, and which of them count as boundary, both (m,).

    The first b rows of the order hold round(rho b) boundary rows and the rest centre rows, for every b, until
    the two ends meet.
    """
    m = len(rows)
    steps = np.arange(1, m + 1)
    edge, heart = geo.rank(rows)
    first = boundary_part(edge_share(label, m, rho), steps)  # of the first b rows, this many are boundary
    as_edge, as_heart = (
        np.empty(m, dtype=np.int64),
        np.empty(m, dtype=np.int64),
    )  # step that would take the row
    as_edge[np.searchsorted(rows, edge)] = np.searchsorted(first, steps)
    as_heart[np.searchsorted(rows, heart)] = np.searchsorted(steps - first, steps)
    order = np.lexsort((rows, np.minimum(as_edge, as_heart)))
    return rows[order], (as_edge <= as_heart)[order]
