"""HDBSCAN: dense groups of any shape, and noise (-1) between them; reads UMAP in 10 dimensions.

Campello, Moulavi, Sander, "Density-based clustering based on hierarchical density estimates", PAKDD 2013;
McInnes, Healy, Astels, JOSS 2017. In 384 dimensions it takes minutes and finds little but noise.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.clustering.base import Clusters, clustering
from core.values import Params, Reporter

SHARE = (
    0.002  # of the rows: smallest cluster by default, but never below FLOOR rows (selection.md, section 4)
)
FLOOR = 5


class HDBSCANParams(Params):
    """What counts as a cluster."""

    min_cluster_size: int = Field(
        0, ge=0, description="Rows of the smallest cluster; 0 = 0.2 % of the rows, at least 5."
    )
    min_samples: int = Field(
        0,
        ge=0,
        description="Neighbours that make a row dense; more = more noise; 0 = as the smallest cluster.",
    )


@clustering(title="HDBSCAN", source="PAKDD 2013")
def hdbscan(vectors: NDArray[np.float32], params: HDBSCANParams, seed: int, reporter: Reporter) -> Clusters:
    """Clusters with membership probabilities; too few rows are all noise, equal rows are one cluster."""
    n = len(vectors)
    smallest = max(params.min_cluster_size or max(FLOOR, int(SHARE * n)), 2)
    if n < smallest:
        return Clusters(np.full(n, -1), np.zeros(n, dtype=np.float32), 0)
    if (vectors == vectors[0]).all():
        return Clusters(np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.float32), 1)
    with warnings.catch_warnings():
        # duplicates have infinite density, and the library divides by their distance of 0; it then treats
        # them right
        warnings.filterwarnings("ignore", message="(divide by zero|invalid value)", category=RuntimeWarning)
        from hdbscan import HDBSCAN

        model = HDBSCAN(
            min_cluster_size=smallest,
            min_samples=min(params.min_samples or smallest, n - 1),
            core_dist_n_jobs=1,
        ).fit(vectors.astype(np.float64))
    reporter.progress(n, n, "rows clustered")
    labels = np.asarray(model.labels_, dtype=np.int64)
    membership = np.clip(np.nan_to_num(model.probabilities_, nan=1.0), 0.0, 1.0).astype(np.float32)
    return Clusters(labels, membership, int(labels.max()) + 1)
