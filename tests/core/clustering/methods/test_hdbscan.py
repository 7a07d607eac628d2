"""HDBSCAN: what lies alone is noise, and small groups are no clusters."""

from __future__ import annotations

import numpy as np

from core.clustering import cluster


def rows(extra: int = 0) -> np.ndarray:
    """Two dense groups of 40 rows, and `extra` rows scattered far away."""
    rng = np.random.default_rng(0)
    dense = rng.normal(scale=0.05, size=(80, 2)) + np.repeat([[0, 0], [4, 4]], 40, axis=0)
    return np.concatenate([dense, rng.uniform(20, 400, size=(extra, 2))]).astype(np.float32)


def test_scattered_rows_are_noise_with_membership_zero() -> None:
    found = cluster("hdbscan", rows(extra=4))
    assert found.k == 2 and (found.labels[80:] == -1).all() and (found.membership[80:] == 0).all()
    assert (found.labels[:80] >= 0).mean() > 0.8


def test_groups_below_the_smallest_size_are_noise() -> None:
    assert cluster("hdbscan", rows(), {"min_cluster_size": 41, "min_samples": 5}).k == 0
    assert cluster("hdbscan", rows()[:4]).labels.tolist() == [-1] * 4


def test_the_middle_of_a_cluster_is_surer_than_its_edge() -> None:
    found = cluster("hdbscan", rows())
    distance = np.linalg.norm(rows()[:40] - rows()[:40].mean(axis=0), axis=1)
    inner, outer = distance < np.median(distance), distance >= np.median(distance)
    assert found.membership[:40][inner].mean() > found.membership[:40][outer].mean()
