"""k-means: the number of clusters, and that no row is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from core.clustering import cluster
from core.clustering.methods.kmeans import automatic_k


@pytest.mark.parametrize(
    ("n", "k"), [(1, 2), (8, 2), (200, 10), (4000, 45), (19_172, 98), (80_000, 200), (10**6, 200)]
)
def test_the_automatic_number_is_the_root_of_half_the_rows_within_bounds(n: int, k: int) -> None:
    assert automatic_k(n) == k


def test_every_row_is_in_a_cluster_with_its_nearest_centre() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    found = cluster("kmeans", rows, {"k": 7})
    assert found.k == 7 and found.labels.min() == 0 and (found.membership == 1).all()
    centres = np.array([rows[found.labels == c].mean(axis=0) for c in range(7)])
    nearest = np.linalg.norm(rows[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == found.labels).mean() > 0.99


def test_never_more_clusters_than_distinct_rows() -> None:
    rows = np.array([[0.0, 0], [0, 0], [1, 1], [1, 1], [1, 1]], dtype=np.float32)
    assert cluster("kmeans", rows, {"k": 4}).labels.tolist() == [1, 1, 0, 0, 0]
