"""Prototypicality: the rows farthest from, or nearest to, the centroid of their own cluster.

Sorscher et al., "Beyond neural scaling laws" (2022): keep far rows where data is plentiful, near ones where
it is scarce. It is SAPS with rho 1 or 0 and no shares per cluster, a good ablation (selection 9.3).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.boundary import centroid_distances
from core.selection.ranking import best
from core.selection.reasons import Reasons
from core.values import Params, Reporter


class PrototypicalityParams(Params):
    """Which clusters, in which space, and which side of them."""

    side: Literal["far", "near"] = Field(
        "far", description="Rows far from their cluster's centroid (unusual ones), or near it (typical ones)."
    )
    clusters: Literal["kmeans", "hdbscan"] = Field(
        "kmeans", description="Clustering whose centroids are the prototypes."
    )
    space: Literal["embedding", "pca50", "umap10"] = Field(
        "pca50", description="Vector space in which distances to centroids are measured."
    )


@strategy(
    title="Prototypicality",
    source="Sorscher et al. 2022",
    needs=lambda params: (f"cluster:{params.clusters}", f"vectors:{params.space}"),
    nested=True,
)
def prototypicality(
    candidates: Candidates,
    budget: int,
    params: PrototypicalityParams,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Picked:
    """The free rows with the largest or smallest distance to their centroid, over all clusters; ties by row.

    Noise belongs to no cluster and is measured to the nearest centroid.
    """
    labels = candidates.clusters[params.clusters]
    distance = candidates.once(
        ("prototypicality", params.clusters, params.space),
        lambda: np.round(centroid_distances(candidates.vectors[params.space], labels)[0], 12),
    )
    value = distance if params.side == "far" else -distance
    free = np.flatnonzero(candidates.free)
    rows = best(free, value[free], budget)
    return Picked(
        rows,
        Reasons(len(rows), params.side, cluster=labels[rows], score=distance[rows]),
        ledger=Ledger(
            value=value, value_name=f"{'' if params.side == 'far' else 'minus '}distance to the centroid"
        ),
    )
