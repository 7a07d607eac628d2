"""What every projection must promise, and what the door refuses."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import BadInput
from core.projection import METHODS, project


def blobs(n: int = 120, d: int = 12) -> np.ndarray:
    """Three groups of n / 3 rows around three directions."""
    rng = np.random.default_rng(0)
    centres = np.eye(3, d) * 3
    return (centres[np.arange(n) % 3] + rng.normal(scale=0.3, size=(n, d))).astype(np.float32)


@pytest.mark.parametrize("method", list(METHODS))
def test_repeats_to_the_bit_and_is_finite(method: str) -> None:
    found = project(method, blobs(), {"n_components": 2}, seed=3)
    assert found.shape == (120, 2) and found.dtype == np.float32 and np.isfinite(found).all()
    assert (found == project(method, blobs(), {"n_components": 2}, seed=3)).all()


@pytest.mark.parametrize("method", list(METHODS))
def test_groups_stay_apart(method: str) -> None:
    xy = project(method, blobs(), {"n_components": 2})
    centres = np.array([xy[i::3].mean(axis=0) for i in range(3)])
    nearest = np.linalg.norm(xy[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == np.arange(120) % 3).all()


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("n", [1, 2, 3, 8, 20])
def test_tiny_pools_and_equal_rows_work(method: str, n: int) -> None:
    assert len(project(method, blobs(120)[:n], {"n_components": 2})) == n
    same = project(method, np.repeat(blobs()[:1], n, axis=0), {"n_components": 2})
    assert (same == same[0]).all()
    assert (project(method, np.zeros((n, 5), np.float32), {"n_components": 2}) == 0).all()


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3), np.array([[np.nan, 1.0]])])
def test_the_door_refuses_what_cannot_be_projected(bad: np.ndarray) -> None:
    with pytest.raises(BadInput, match="embed the pool again"):
        project("pca", bad)
