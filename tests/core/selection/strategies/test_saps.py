"""SAPS (reconstruction): both ends of every cluster, the toy of selection 2.4, and the edges of 2.3."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import MissingInput
from core.selection import STRATEGIES, Candidates, select

X = np.array([[0], [1], [2], [3], [4], [10], [11], [12]], dtype=np.float32)
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1])
TOY = Candidates(n=8, vectors={"pca50": X}, clusters={"kmeans": LABELS})


def pool_of(x, labels, **more):
    x = np.asarray(x, dtype=np.float32).reshape(len(labels), -1)
    return Candidates(n=len(x), vectors={"pca50": x}, clusters={"kmeans": np.asarray(labels)}, **more)


def ends(picked, cluster):
    """(boundary rows, centre rows) of one cluster, in picking order."""
    of = [
        (int(r), why.role)
        for r, why in zip(picked.rows, picked.reasons, strict=True)
        if why.cluster == cluster
    ]
    return [r for r, role in of if role == "boundary"], [r for r, role in of if role == "centre"]


def test_half_and_half_by_distance_from_the_centroid():
    picked = select("saps", TOY, 4, {"boundary": "centroid"})
    assert ends(picked, 0) == ([0, 4], [2]) and ends(picked, 1) == ([5], [])


def test_the_ratio_looks_toward_the_other_cluster_first():
    picked = select("saps", TOY, 4)
    assert ends(picked, 0) == ([4, 0], [2]) and ends(picked, 1) == ([5], [])
    assert picked.reasons[0].score == pytest.approx(0.285714, abs=1e-6)


def test_rho_zero_takes_centres_and_rho_one_boundaries():
    assert ends(select("saps", TOY, 4, {"rho": 0}), 0)[1] == [2, 1, 3]
    assert ends(select("saps", TOY, 4, {"rho": 0}), 1)[1] == [6]
    picked = select("saps", TOY, 4, {"rho": 1, "boundary": "centroid"})
    assert ends(picked, 0) == ([0, 4, 1], []) and ends(picked, 1) == ([5], [])


def test_clusters_take_turns_the_largest_first_boundary_and_centre_alternating():
    picked = select("saps", TOY, 8)
    assert picked.rows.tolist() == [4, 5, 2, 6, 0, 7, 1, 3]
    assert [r.role for r in picked.reasons[:4]] == ["boundary", "boundary", "centre", "centre"]


def test_allocations_share_the_budget_differently():
    labels = [0] * 90 + [1] * 9 + [2]
    pool = pool_of(np.random.default_rng(0).normal(size=(100, 2)), labels)

    def counts(allocation, budget=14):
        picked = select("saps", pool, budget, {"allocation": allocation})
        return np.bincount(np.array(labels)[picked.rows], minlength=3).tolist()

    assert counts("proportional") == [12, 1, 1]  # 12.6, 1.26, .14, then one row for the smallest
    assert counts("sqrt") == [10, 3, 1]
    assert counts("uniform") == [7, 6, 1]


def test_a_budget_below_the_number_of_clusters_starves_small_ones_and_says_so():
    picked = select("saps", pool_of(np.arange(10), [0] * 8 + [1, 2]), 2)
    assert {r.cluster for r in picked.reasons} == {0}
    assert "too small for 2 of 3 clusters" in picked.warnings[0]


def test_noise_is_a_group_of_its_own_and_all_boundary():
    pool = pool_of([0, 1, 2, 10, 11, 12, 6, 30], [0, 0, 0, 1, 1, 1, -1, -1])
    picked = select("saps", pool, 8, {"rho": 0.0})
    roles = {int(r): why.role for r, why in zip(picked.rows, picked.reasons, strict=True)}
    assert {r for r, role in roles.items() if role == "noise"} == {6, 7}
    assert picked.rows.tolist().index(6) < picked.rows.tolist().index(
        7
    )  # between two clusters beats far from both


def test_a_cluster_of_one_row_is_a_centre():
    picked = select("saps", pool_of([0, 1, 2, 50], [0, 0, 0, 1]), 4, {"rho": 1.0})
    assert ends(picked, 1) == ([], [3])


def test_identical_vectors_are_drawn_at_random_with_a_warning():
    pool = pool_of(np.ones((20, 3)), [0] * 10 + [1] * 10)
    chosen = {tuple(select("saps", pool, 5, seed=s).rows) for s in range(10)}
    assert len(chosen) > 5
    assert "identical" in select("saps", pool, 5).warnings[0]


def test_membership_needs_the_probabilities_of_the_clustering():
    hdbscan = replace(TOY, clusters={"hdbscan": LABELS})
    given = {"clusters": "hdbscan", "boundary": "membership", "rho": 1.0}
    with pytest.raises(MissingInput, match="membership probabilities of hdbscan"):
        select("saps", hdbscan, 4, given)
    sure = np.array([0.9, 0.1, 0.9, 0.2, 0.9, 0.9, 0.9, 0.3], dtype=np.float32)
    picked = select("saps", replace(hdbscan, membership={"hdbscan": sure}), 3, given)
    assert ends(picked, 0)[0] == [1, 3] and ends(picked, 1)[0] == [7]


def test_pins_count_for_their_cluster_and_leave_the_rest_to_the_other():
    picked = select("saps", replace(TOY, taken=np.array([0, 1, 2])), 4)
    assert picked.rows.tolist()[:3] == [0, 1, 2] and LABELS[picked.rows[3]] == 1


def test_it_never_clusters_itself():
    spec = STRATEGIES["saps"]
    assert spec.needs(spec.params()) == ("cluster:kmeans", "vectors:pca50")
    given = spec.params(clusters="hdbscan", space="umap10")
    assert spec.needs(given) == ("cluster:hdbscan", "vectors:umap10")
