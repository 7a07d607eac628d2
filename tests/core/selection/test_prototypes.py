"""Cosines to directions: against one row at a time, and for vectors of zeros."""

import numpy as np
import pytest

from core.selection.distance import unit
from core.selection.prototypes import likeness, zero_warning


def test_a_mean_of_unit_vectors_gives_the_mean_cosine():
    rng = np.random.default_rng(0)
    x, reference = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(7, 4))
    found, _ = likeness(x, unit(reference, np.float64).mean(axis=0, keepdims=True))
    for row, value in zip(x, found[:, 0], strict=True):
        cosines = [row @ v / np.linalg.norm(row) / np.linalg.norm(v) for v in reference]
        assert value == pytest.approx(np.mean(cosines), abs=1e-6)


def test_equal_rows_tie_wherever_they_lie():
    rng = np.random.default_rng(1)
    x = np.tile(rng.normal(size=384).astype(np.float32), (9001, 1))
    found, _ = likeness(x, unit(rng.normal(size=(3, 384)), np.float64))
    assert len(np.unique(found, axis=0)) == 1


def test_a_row_of_zeros_has_cosine_zero_and_is_said():
    found, zero = likeness(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 0.0]]))
    assert found.tolist() == [[0.0], [0.6]] and zero.tolist() == [True, False]
    assert "1 rows have a vector of zeros" in zero_warning(zero, "rows")[0]
    assert zero_warning(zero[1:], "rows") == ()
