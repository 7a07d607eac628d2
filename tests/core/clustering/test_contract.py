"""What every clustering must promise, and what the door refuses."""

from __future__ import annotations

import numpy as np
import pytest

from core.clustering import METHODS, cluster
from core.errors import BadInput

SIZES = (60, 30, 20)


def blobs() -> np.ndarray:
    """Three tight groups of 20, 60 and 30 rows, in this order."""
    rng = np.random.default_rng(0)
    centres = np.eye(3, 6)[np.repeat([0, 1, 2], [20, 60, 30])] * 5
    return (centres + rng.normal(scale=0.1, size=(110, 6))).astype(np.float32)


@pytest.mark.parametrize("method", list(METHODS))
def test_finds_well_separated_groups_and_numbers_them_by_size(method: str) -> None:
    found = cluster(method, blobs(), {"k": 3} if method == "kmeans" else None)
    assert found.k == 3 and found.labels.dtype == np.int64 and found.membership.dtype == np.float32
    assert (np.bincount(found.labels[found.labels >= 0], minlength=3) >= np.array(SIZES) - 5).all()
    core = found.labels[found.membership > 0.5]
    true = np.repeat([2, 0, 1], [20, 60, 30])[found.membership > 0.5]
    assert (core == true).all()


@pytest.mark.parametrize("method", list(METHODS))
def test_repeats_and_keeps_its_ranges(method: str) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    one, two = (cluster(method, rows, seed=4) for _ in range(2))
    assert (one.labels == two.labels).all() and (one.membership == two.membership).all()
    assert ((one.membership >= 0) & (one.membership <= 1)).all()
    assert (one.membership[one.labels < 0] == 0).all()
    assert set(one.labels) <= set(range(-1, one.k))


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 11])
def test_tiny_pools_work(method: str, n: int) -> None:
    found = cluster(method, blobs()[:n])
    assert len(found.labels) == n and found.labels.max() < max(found.k, 1)


@pytest.mark.parametrize("method", list(METHODS))
def test_equal_rows_are_one_cluster(method: str) -> None:
    found = cluster(method, np.ones((40, 3), dtype=np.float32))
    assert found.k == 1 and (found.labels == 0).all() and (found.membership == 1).all()


@pytest.mark.parametrize("method", list(METHODS))
def test_many_copies_of_few_rows_work(method: str) -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), 12, axis=0)
    found = cluster(method, rows)
    assert found.k == 3 and all(len(set(found.labels[i : i + 12])) == 1 for i in (0, 12, 24))


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3), np.array([[np.inf, 1.0]])])
def test_the_door_refuses_what_cannot_be_clustered(bad: np.ndarray) -> None:
    with pytest.raises(BadInput, match="again"):
        cluster("kmeans", bad)
