"""Boundary scores: the toy of selection 2.4, and what they do without clusters, with one, or with noise."""

import numpy as np
import pytest

from core.selection.boundary import Geometry, boundary_part, boundary_score, centroid_distances, two_ended

X = np.array([[0], [1], [2], [3], [4], [10], [11], [12]], dtype=np.float32)
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1])


def score(kind, x=X, labels=LABELS):
    return boundary_score(kind, *centroid_distances(x, labels), labels)


def test_distances_to_own_and_other_centroid_of_the_toy():
    own, other = centroid_distances(X, LABELS)
    np.testing.assert_allclose(own, [2, 1, 0, 1, 2, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(other, [11, 10, 9, 8, 7, 8, 9, 10], atol=1e-12)


def test_scores_of_the_toy():
    np.testing.assert_allclose(score("ratio"), [0.181818, 0.1, 0, 0.125, 0.285714, 0.125, 0, 0.1], atol=1e-6)
    np.testing.assert_allclose(score("centroid"), [1, 0.5, 0, 0.5, 1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(score("margin"), [-9, -9, -9, -7, -5, -7, -9, -9], atol=1e-12)


def test_membership_makes_the_unsure_rows_the_boundary():
    own, other = centroid_distances(X, LABELS)
    member = np.linspace(0, 1, 8)
    np.testing.assert_allclose(boundary_score("membership", own, other, LABELS, member), 1 - member)


@pytest.mark.parametrize("kind", ["ratio", "margin"])
def test_one_cluster_falls_back_to_the_distance_from_its_centroid(kind):
    np.testing.assert_array_equal(
        score(kind, labels=np.zeros(8, int)), score("centroid", labels=np.zeros(8, int))
    )


@pytest.mark.parametrize("kind", ["ratio", "centroid", "margin"])
def test_nothing_but_noise_and_nothing_but_one_point_stay_finite(kind):
    assert np.isfinite(score(kind, labels=np.full(8, -1))).all()
    assert (score(kind, x=np.ones((8, 2), np.float32)) == 0).all()


def test_a_noise_row_is_measured_against_the_nearest_cluster_and_moves_no_centroid():
    x = np.vstack([X, [[6.0]]]).astype(np.float32)
    own, other = centroid_distances(x, np.append(LABELS, -1))
    assert own[:8].tolist() == [2, 1, 0, 1, 2, 1, 0, 1]
    assert (own[8], other[8]) == (4, 5)


def test_a_row_on_the_other_centroid_is_the_most_boundary_and_still_finite():
    x = np.array([[0], [0], [0], [4], [1]], dtype=float)  # centroids 1 and 1
    ratio = score("ratio", x=x, labels=np.array([0, 0, 0, 0, 1]))
    assert np.isfinite(ratio).all() and ratio[4] == 0


def test_duplicates_tie_exactly_wherever_they_stand():
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(40, 384)).astype(np.float32), 100, axis=0)[rng.permutation(4000)]
    labels = rng.integers(0, 60, 40)[np.unique(x, axis=0, return_inverse=True)[1]]
    for kind in ("ratio", "centroid", "margin"):
        assert len(np.unique(score(kind, x, labels))) <= 40


def test_the_boundary_part_rounds_half_up_exactly():
    assert boundary_part(0.29, np.array([50])).tolist() == [15]
    assert boundary_part(0.5, np.arange(5)).tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5, 1.0])
def test_every_prefix_of_the_two_ended_order_holds_the_asked_share_of_boundary(rho):
    own = np.arange(9.0)
    geo = Geometry(np.zeros(9, int), own, own / 8, False)
    order, edge = two_ended(geo, 0, np.arange(9), rho)
    assert sorted(order.tolist()) == list(range(9))
    for b in range(1, 9):
        q = int(boundary_part(rho, np.array(b)))
        assert set(order[:b]) == set(range(9 - q, 9)) | set(range(b - q))
        assert edge[:b].sum() == q or b > 7
