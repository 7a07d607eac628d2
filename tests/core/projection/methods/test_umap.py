"""UMAP: duplicates share a place, far islands do not empty the frame, order along the axes is kept."""

from __future__ import annotations

import numpy as np
import pytest

from core.projection import frame_fill, project, trustworthiness
from core.projection.methods.umap import evened


def islands(n: int = 400) -> np.ndarray:
    """A broad cloud, and five tight groups of near-duplicates far from it: what empties a frame."""
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(n, 16))
    far = np.repeat(rng.normal(size=(5, 16)) * 9, n // 20, axis=0) + rng.normal(
        scale=0.01, size=(n // 20 * 5, 16)
    )
    return np.concatenate([cloud, far]).astype(np.float32)


def test_equal_rows_share_a_place_and_do_not_move_the_others() -> None:
    plain = islands()
    copies = np.concatenate([plain, np.repeat(plain[:1], 300, axis=0)])
    drawn = project("umap", copies)
    assert (drawn[len(plain) :] == drawn[0]).all()
    # the copies neither stretch the map nor change who is whose neighbour
    assert trustworthiness(plain, drawn[: len(plain)]) == pytest.approx(
        trustworthiness(plain, project("umap", plain)), abs=0.01
    )


def test_drawing_islands_in_fills_the_frame_at_no_cost_in_neighbours() -> None:
    vectors = islands()
    plain, drawn = project("umap", vectors, {"even": 0}), project("umap", vectors)
    assert frame_fill(drawn) > 1.15 * frame_fill(plain)
    assert trustworthiness(vectors, drawn) > trustworthiness(vectors, plain) - 0.01


def test_evening_keeps_the_order_along_each_axis() -> None:
    xy = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32) ** 3
    for share in (0.0, 0.5, 1.0):
        moved = evened(xy, share)
        for axis in (0, 1):
            assert (np.diff(moved[np.argsort(xy[:, axis]), axis]) >= 0).all()
    assert evened(xy, 1.0)[:, 0].max() == 1.0 and evened(xy, 1.0)[:, 0].min() == 0.0


def test_another_seed_draws_another_map_and_ten_dimensions_are_left_as_they_are() -> None:
    vectors = islands(100)
    assert (project("umap", vectors, seed=0) != project("umap", vectors, seed=1)).any()
    ten = {"n_components": 10, "min_dist": 0.0}
    assert project("umap", vectors, ten).shape == (125, 10)
    assert (project("umap", vectors, ten) == project("umap", vectors, {**ten, "even": 0.0})).all()


def test_rows_beyond_those_laid_out_lie_amid_their_nearest() -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(30, 16)) * 3)[np.arange(900) % 30] + rng.normal(size=(900, 16))
    whole, part = (project("umap", vectors, {"fit_rows": rows}) for rows in (900, 300))
    assert trustworthiness(vectors, part) > trustworthiness(vectors, whole) - 0.03
    assert trustworthiness(vectors, part) > 0.9
    assert (part == project("umap", vectors, {"fit_rows": 300})).all()
    assert (whole == project("umap", vectors)).all(), "900 rows are all there are"


def test_a_map_is_more_trustworthy_than_its_start() -> None:
    vectors = islands(600)
    start = project("pca", vectors, {"n_components": 2})
    assert trustworthiness(vectors, project("umap", vectors)) > trustworthiness(vectors, start) + 0.02


def test_no_number_of_the_input_is_changed() -> None:
    vectors = islands(100)
    before = vectors.copy()
    vectors.setflags(write=False)
    project("umap", vectors)
    assert (vectors == before).all()
