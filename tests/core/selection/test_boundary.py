"""Boundary scores: the toy of selection 2.4, and what they do without clusters, with one, or with noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection.boundary import Geometry, boundary_part, boundary_score, centroid_distances, priority

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
def test_every_prefix_of_a_clusters_line_holds_the_asked_share_of_boundary(rho):
    own = np.arange(9.0)
    value, edge = priority(Geometry.of(np.zeros(9, int), own, own / 8), np.ones(9, bool), rho)
    order = np.argsort(-value)
    np.testing.assert_allclose(value[order], np.arange(9, 0, -1) / 9)
    for b in range(1, 9):
        q = int(boundary_part(rho, np.array(b)))
        assert set(order[:b]) == set(range(9 - q, 9)) | set(range(b - q))
        assert edge[order[:b]].sum() == q or b > 7


def plain_line(own, score, rho):
    """One cluster's rows in the order they are taken: at each step the end that is behind its share."""
    edge, heart = (sorted(range(len(own)), key=lambda i: (key[i], i)) for key in (-score, own))
    line, at_edge = [], 0
    while len(line) < len(own):
        b = len(line) + 1
        wants_edge = int(boundary_part(rho, np.array(b))) > at_edge
        row = edge[at_edge] if wants_edge else heart[b - 1 - at_edge]
        if row in line:
            break  # the two ends meet
        at_edge += wants_edge
        line.append(row)
    return line


@given(data=st.data(), rho=st.sampled_from([0.0, 0.29, 0.5, 1.0]))
def test_the_line_of_every_cluster_is_that_of_a_plain_loop_until_the_ends_meet(data, rho):
    n = data.draw(st.integers(1, 25))
    whole = st.lists(st.integers(0, 4), min_size=n, max_size=n).map(lambda v: np.array(v, dtype=float))
    own, score, labels = data.draw(whole), data.draw(whole), data.draw(whole).astype(int) - 1
    mask = data.draw(whole) > 0
    value, _ = priority(Geometry.of(labels, own, score), mask, rho)
    assert (value[~mask] == 0).all()
    for label in np.unique(labels[mask]):
        rows = np.flatnonzero(mask & (labels == label))
        share = 1.0 if label == -1 else 0.0 if len(rows) == 1 else rho
        line = plain_line(own[rows], score[rows], share)
        assert rows[np.argsort(-value[rows])][: len(line)].tolist() == rows[line].tolist()


def test_distances_agree_with_the_full_table_of_centroids():
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(3000, 7)) + 50).astype(np.float32)
    labels = rng.integers(-1, 9, 3000)
    middle = np.stack([x[labels == c].mean(axis=0, dtype=float) for c in range(9)])
    full = np.linalg.norm(x[:, None] - middle[None], axis=2)
    own = np.where(labels < 0, full.min(axis=1), full[np.arange(3000), labels])
    full[np.arange(3000), np.where(labels < 0, full.argmin(axis=1), labels)] = np.inf
    ours = centroid_distances(x, labels)
    np.testing.assert_allclose(ours[0], own, rtol=1e-5)
    np.testing.assert_allclose(ours[1], full.min(axis=1), rtol=1e-5)
