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
from core.selection.distance import Matrix, blocks, squares, whole_mean
from core.selection.grouping import by_label, turns
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
    """Each row against the clusters. A group is a cluster, or all noise together."""

    names: NDArray[np.integer[Any]]  # (k,) label of each group, ascending; -1 is noise
    group: Rows  # (n,) the row's place among `names`
    own: NDArray[np.float64]  # (n,) distance to the own centroid; noise: to the nearest one
    score: NDArray[np.float64]  # (n,) higher is nearer the boundary
    identical: bool  # all rows are one point, so neither end means anything
    from_edge: Rows  # (n,) all rows, group by group, from the boundary inwards; ties by row number
    from_heart: Rows  # (n,) the same from the centre outwards

    @classmethod
    def of(
        cls,
        labels: NDArray[np.integer[Any]],
        own: NDArray[np.float64],
        score: NDArray[np.float64],
        identical: bool = False,
    ) -> Geometry:
        """Rows sorted both ways, with one sort each whatever the number of clusters."""
        names, group = np.unique(labels, return_inverse=True)
        return cls(names, group, own, score, identical, _sorted(group, -score), _sorted(group, own))

    def sizes(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(k,) masked rows of each group."""
        return np.bincount(self.group[mask], minlength=len(self.names))


def _sorted(group: Rows, key: NDArray[np.float64]) -> Rows:
    order = np.argsort(key, kind="stable")
    return order[by_label(group[order])]


def geometry(candidates: Candidates, params: BoundaryParams) -> Geometry:
    """Distances and boundary scores of every row, in the space and clustering that `params` name."""
    x, labels = candidates.vectors[params.space], candidates.clusters[params.clusters]
    where, kind = (params.clusters, params.space), params.boundary

    def measure() -> Geometry:
        own, other = candidates.once(("centroids", *where), lambda: centroid_distances(x, labels))
        member = _membership(candidates, params) if kind == "membership" else None
        return Geometry.of(labels, own, boundary_score(kind, own, other, labels, member), _identical(x))

    return candidates.once(("geometry", *where, kind), measure)


def _membership(candidates: Candidates, params: BoundaryParams) -> NDArray[np.float64]:
    if params.clusters not in candidates.membership:
        raise MissingInput(
            f"boundary = membership needs the membership probabilities of {params.clusters}; "
            "cluster again with hdbscan, or choose another boundary"
        )
    return np.asarray(candidates.membership[params.clusters], dtype=np.float64)


def _identical(x: Matrix) -> bool:
    return all(bool((x[s] == x[:1]).all()) for s in blocks(*x.shape))


def centroid_distances(
    x: Matrix, labels: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(own, other): distances (n,) to the own and the nearest other centroid, infinity where there is none.

    Noise has no centroid: a noise row is measured as if it belonged to the nearest cluster, and a pool of
    nothing but noise against its mean.

    A product in the precision of x finds which centroids are nearest; the distances to these are then taken
    by subtraction in float64. A product may round equal rows differently in different blocks, a subtraction
    never does, so equal rows tie; the two nearest are both tried because rounding may swap them.
    """
    real = labels != NOISE
    groups = group_rows(labels, real) or {NOISE: np.arange(len(labels))}
    shift = whole_mean(x)
    middle = np.stack(
        [(x[rows] - shift).mean(axis=0, dtype=np.float64) for rows in groups.values()]
    )  # (k, d)
    twice = np.ascontiguousarray(-2 * middle.T, dtype=shift.dtype)
    size = squares(middle).astype(shift.dtype)
    column = np.searchsorted(np.array(list(groups)), labels)
    own, other = np.empty(len(x)), np.full(len(x), np.inf)
    for s in blocks(len(x), max(middle.shape)):
        part = x[s] - shift
        near = part @ twice
        near += size  # squared distances, less the row's own square
        place = column[s].copy()
        noise = np.flatnonzero(~real[s])
        place[noise] = near[noise].argmin(axis=1)
        own[s] = _apart(part, middle[place])
        for _ in range(min(len(middle) - 1, 2)):
            near[np.arange(len(part)), place] = np.inf
            place = near.argmin(axis=1)
            other[s] = np.minimum(other[s], _apart(part, middle[place]))
    nearest = np.where(real, own, np.minimum(own, other))
    return nearest, np.where(real, other, np.maximum(own, other))


def _apart(a: Matrix, b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) distances of rows to rows, by subtraction: equal rows are exactly 0 apart."""
    d = a - b
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", d, d)))


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


def boundary_part(rho: float | NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of `counts` rows are boundary rows: round half up of rho * count."""
    part: NDArray[np.int64] = np.floor(rho * counts + 0.5 + 1e-9).astype(np.int64)
    return part  # 1e-9: 0.29 * 50 is 14.5, not 14.4999


def edge_share(geo: Geometry, sizes: NDArray[np.int64], rho: float) -> NDArray[np.float64]:
    """(k,) rho, but noise has no centre (1) and a cluster of one row no boundary (0) (selection 2.3)."""
    return np.where(geo.names == NOISE, 1.0, np.where(sizes == 1, 0.0, rho))


def priority(
    geo: Geometry, mask: NDArray[np.bool_], rho: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(value, edge), both (n,): how early each masked row is taken, and whether as a boundary row.

    1 for the first row of each cluster, falling evenly to 1 / size for its last, 0 outside the mask. The
    first b rows of a cluster hold round(rho b) boundary rows and the rest centre rows, for every b, until the
    two ends meet.
    """
    sizes = geo.sizes(mask)
    share = edge_share(geo, sizes, rho)[geo.group]
    steps = np.arange(1, sizes.max(initial=0) + 1)
    part = boundary_part(rho, steps)  # of the first b rows, this many are boundary
    as_edge = _step(geo, mask, geo.from_edge, share, np.searchsorted(part, steps))
    as_heart = _step(geo, mask, geo.from_heart, 1.0 - share, np.searchsorted(steps - part, steps))
    rows = np.flatnonzero(mask)
    order = rows[by_label(np.minimum(as_edge, as_heart)[rows])]
    order = order[by_label(geo.group[order])]
    value, group = np.zeros(len(geo.group)), geo.group[order]
    value[order] = 1.0 - turns(group) / sizes[group]
    return value, as_edge <= as_heart


def _step(
    geo: Geometry, mask: NDArray[np.bool_], order: Rows, share: NDArray[np.float64], table: Rows
) -> Rows:
    """(n,) the step at which each row would be taken from this end of its cluster.

    `share` (n,) of the cluster's rows come from this end; `table` says when the first, second ... does.
    """
    inside = order[mask[order]]
    rank = np.zeros(len(order), dtype=np.int64)
    rank[inside] = turns(geo.group[inside])
    usual = np.append(table, 0)[rank] if len(table) else rank
    return np.where(share == 1.0, rank, np.where(share == 0.0, len(table), usual))
