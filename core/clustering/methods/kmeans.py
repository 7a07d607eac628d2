"""k-means: every row in one of k round clusters; reads PCA-50 (selection.md, section 4).

Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28 (1982); seeding by
k-means++, Arthur and Vassilvitskii, SODA 2007.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.clustering.base import Clusters, clustering
from core.values import Params, Reporter

AUTO = (2, 200)


class KMeansParams(Params):
    """How many clusters, and how often to start anew."""

    k: int = Field(
        0, ge=0, le=5000, description="Clusters; 0 = the root of half the rows, between 2 and 200."
    )
    n_init: int = Field(4, ge=1, le=50, description="Starts from other seeds; the tightest result is kept.")


def automatic_k(n: int) -> int:
    """clamp(round(sqrt(n / 2)), 2, 200), selection.md section 4."""
    return int(np.clip(round((n / 2) ** 0.5), *AUTO))


@clustering(title="k-means", source="Lloyd 1982")
def kmeans(vectors: NDArray[np.float32], params: KMeansParams, seed: int, reporter: Reporter) -> Clusters:
    """Hard clusters (membership 1), at most as many as there are distinct rows; no noise."""
    from sklearn.cluster import KMeans

    distinct = len(np.unique(vectors, axis=0))
    k = min(params.k or automatic_k(len(vectors)), distinct)
    model = KMeans(n_clusters=k, n_init=params.n_init, random_state=seed)
    labels = model.fit_predict(vectors).astype(np.int64)
    reporter.progress(len(vectors), len(vectors), "rows clustered")
    return Clusters(labels, np.ones(len(vectors), dtype=np.float32), k)
