"""PCA: the directions of largest variance, with a sign that repeats."""

from __future__ import annotations

import numpy as np
import pytest

from core.projection import project


def rows(n: int = 200, d: int = 6) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.normal(size=(n, d)) * np.array([5, 3, 1, 0.5, 0.2, 0.1])[:d] + 7).astype(np.float32)


def test_agrees_with_scikit_learn_up_to_sign() -> None:
    from sklearn.decomposition import PCA

    ours = project("pca", rows(), {"n_components": 3})
    theirs = PCA(3, svd_solver="full").fit_transform(rows().astype(np.float64))
    assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-3)


def test_the_largest_loading_is_positive_so_that_signs_repeat() -> None:
    # by hand: all the variance lies along (-2, 1); its largest loading is the first, made positive: (2, -1)
    line = np.array([[-2, 1], [2, -1], [0, 0]], dtype=np.float32)
    assert project("pca", line, {"n_components": 1})[:, 0] == pytest.approx([-(5**0.5), 5**0.5, 0], abs=1e-6)
    shuffled = np.random.default_rng(0).permutation(200)
    assert project("pca", rows()[shuffled]) == pytest.approx(project("pca", rows())[shuffled], abs=1e-4)


@pytest.mark.parametrize(("n", "k", "width"), [(200, 50, 6), (4, 50, 4), (200, 2, 2)])
def test_gives_no_more_directions_than_there_are(n: int, k: int, width: int) -> None:
    assert project("pca", rows(n), {"n_components": k}).shape == (n, width)


def test_directions_without_variance_are_exactly_zero() -> None:
    flat = np.zeros((50, 5), dtype=np.float32)
    flat[:, 2] = np.arange(50)
    found = project("pca", flat, {"n_components": 5})
    assert found[:, 0].std() > 10 and (found[:, 1:] == 0).all()


def test_normalised_rows_have_length_one_but_zeros_stay() -> None:
    found = project("pca", rows(), {"n_components": 4, "normalise": True})
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert (project("pca", np.ones((3, 4), np.float32), {"normalise": True}) == 0).all()


def test_rounding_is_not_blown_up_to_length_one() -> None:
    same = np.repeat(np.random.default_rng(0).normal(size=(1, 300)), 7, axis=0).astype(np.float32)
    assert (project("pca", same, {"normalise": True}) == 0).all()
