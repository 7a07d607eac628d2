"""Distance to the tenth nearest row: the full table as a judge, and what a sample may miss."""

import numpy as np
import pytest

from core.selection import outliers
from core.selection.outliers import NEIGHBOUR, neighbour_distance


def full(x, k=NEIGHBOUR):
    d = np.linalg.norm(x[:, None].astype(float) - x[None], axis=2)
    np.fill_diagonal(d, np.inf)
    return np.sort(d, axis=1)[:, min(k, len(x) - 1) - 1]


@pytest.mark.parametrize("n", [2, 5, 11, 12, 700])
def test_agrees_with_the_full_table(n):
    x = (np.random.default_rng(n).normal(size=(n, 5)) + 30).astype(np.float32)
    np.testing.assert_allclose(neighbour_distance(x), full(x), rtol=1e-4)


def test_one_row_has_no_neighbour():
    assert neighbour_distance(np.ones((1, 2), np.float32)).tolist() == [0]


def test_a_row_is_not_its_own_neighbour_and_a_copy_is():
    x = np.repeat(np.arange(3.0), NEIGHBOUR + 1)[:, None]
    assert neighbour_distance(x).tolist() == [0] * len(x)
    assert neighbour_distance(x[: 2 * NEIGHBOUR + 1])[-1] == 1  # ten of it: nine copies


def test_a_sample_finds_the_same_far_rows(monkeypatch):
    monkeypatch.setattr(outliers, "SAMPLE", 300)
    x = np.random.default_rng(1).normal(size=(2000, 3)).astype(np.float32)
    x[:5] += 100 * np.arange(1, 6)[:, None]
    found = neighbour_distance(x)
    assert set(np.argsort(-found)[:5]) == set(range(5))
    assert np.median(found) == pytest.approx(np.median(full(x)), rel=0.15)
