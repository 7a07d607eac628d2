"""Map quality: counted cells by hand, and trustworthiness against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from core.projection import frame_fill, trustworthiness


def test_a_full_grid_fills_the_frame_and_one_spot_does_not() -> None:
    axis = np.linspace(0, 1, 200)
    full = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert frame_fill(full) == 1.0
    assert frame_fill(np.zeros((50, 2))) == pytest.approx(1 / 3600)
    assert frame_fill(np.stack([axis, axis], axis=1)) == pytest.approx(60 / 3600, abs=4 / 3600)


def test_points_outside_the_frame_do_not_count() -> None:
    axis = np.linspace(0, 1, 200)
    full = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert frame_fill(np.concatenate([full, [[9.0, 9.0]]])) == 1.0


def test_agrees_with_scikit_learn_when_every_row_is_checked() -> None:
    from sklearn.manifold import trustworthiness as reference

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 8))
    xy = vectors[:, :2] + rng.normal(scale=0.3, size=(300, 2))
    ours = trustworthiness(vectors, xy, neighbours=10, sample=300)
    assert ours == pytest.approx(reference(vectors, xy, n_neighbors=10, metric="cosine"), abs=1e-9)
    assert trustworthiness(vectors, xy, neighbours=10, sample=150) == pytest.approx(ours, abs=0.03)


def test_a_faithful_map_is_better_than_a_shuffled_one() -> None:
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(0, 1.5, 200))
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert trustworthiness(vectors, vectors) > 0.999
    assert trustworthiness(vectors, rng.permutation(vectors)) < 0.7


def test_one_row_or_two_have_nothing_to_lose() -> None:
    assert trustworthiness(np.ones((1, 3)), np.zeros((1, 2))) == 1.0
    assert trustworthiness(np.ones((2, 3)), np.zeros((2, 2))) == 1.0


def test_a_row_drawn_upon_another_is_held_against_the_map() -> None:
    # by hand, k = 1: rows 0 and 3 share a place but are third neighbours in truth: 2 (2 + 2) / (4 * 4) lost
    angle = np.radians([0.0, 20.0, 45.0, 75.0])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    xy = np.array([[0.0, 0.0], [1.0, 0.0], [2.5, 0.0], [0.0, 0.0]])
    assert trustworthiness(vectors, xy, neighbours=1) == pytest.approx(0.5)


def test_of_equally_far_rows_the_earlier_count_as_nearer() -> None:
    rng = np.random.default_rng(0)
    vectors = np.eye(4)[rng.integers(4, size=60)]  # many rows are equal, in truth and on the map
    xy = rng.integers(3, size=(60, 2)).astype(np.float64)
    penalty = 0
    for row in range(60):
        true, drawn = 1.0 - vectors @ vectors[row], np.square(xy - xy[row]).sum(axis=1)
        true[row] = drawn[row] = -1.0
        rank = np.argsort(np.argsort(true, kind="stable"), kind="stable")
        penalty += np.maximum(rank[np.argsort(drawn, kind="stable")[1:6]] - 5, 0).sum()
    by_hand = 1 - 2 * penalty / (60 * 5 * (2 * 60 - 3 * 5 - 1))
    assert trustworthiness(vectors, xy, neighbours=5) == pytest.approx(by_hand, abs=1e-12)
