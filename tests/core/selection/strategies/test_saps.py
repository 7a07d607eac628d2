"""SAPS (reconstruction): both ends of every cluster, the toy of selection 2.4, and the edges of 2.3."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MissingInput
from core.selection import STRATEGIES, Candidates, select
from core.selection.allocation import beyond, proportional
from core.selection.boundary import geometry

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
    asked = {"clusters": "hdbscan", "boundary": "membership", "rho": 1.0}
    with pytest.raises(MissingInput, match="membership probabilities of hdbscan"):
        select("saps", hdbscan, 4, asked)
    sure = np.array([0.9, 0.1, 0.9, 0.2, 0.9, 0.9, 0.9, 0.3], dtype=np.float32)
    picked = select("saps", replace(hdbscan, membership={"hdbscan": sure}), 3, asked)
    assert ends(picked, 0)[0] == [1, 3] and ends(picked, 1)[0] == [7]


def test_pins_count_for_their_cluster_and_leave_the_rest_to_the_other():
    picked = select("saps", replace(TOY, taken=np.array([0, 1, 2])), 4)
    assert picked.rows.tolist()[:3] == [0, 1, 2] and LABELS[picked.rows[3]] == 1


def test_it_never_clusters_itself():
    spec = STRATEGIES["saps"]
    assert spec.needs(spec.params()) == ("cluster:kmeans", "vectors:pca50")
    asked = spec.params(clusters="hdbscan", space="umap10")
    assert spec.needs(asked) == ("cluster:hdbscan", "vectors:umap10")


def plain_saps(pool, budget, rho):
    """One cluster after another: both ends by a stable sort, then clusters in turns."""
    geo = geometry(pool, STRATEGIES["saps"].params())
    labels, free = geo.names[geo.group], pool.free
    names = np.unique(labels[pool.usable])
    sizes = np.array([(pool.usable & (labels == c)).sum() for c in names])
    held = np.array([(pool.pinned & (labels == c)).sum() for c in names])
    quota = beyond(lambda s, b: proportional(s, b, at_least=1), sizes, budget, held)
    queues = []
    for i in np.argsort(-quota, kind="stable"):
        rows = np.flatnonzero(free & (labels == names[i])).tolist()
        share = 1.0 if names[i] == -1 else 0.0 if sizes[i] == 1 else rho
        q = int(np.floor(share * quota[i] + 0.5 + 1e-9))
        edge = sorted(rows, key=lambda r: (-geo.score[r], r))[:q]
        heart = sorted((r for r in rows if r not in edge), key=lambda r: (geo.own[r], r))[: quota[i] - q]
        pairs = [[*edge[t : t + 1], *heart[t : t + 1]] for t in range(len(rows))]
        queues.append([r for pair in pairs for r in pair])
    return [queue[t] for t in range(pool.n) for queue in queues if t < len(queue)]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), rho=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_all_clusters_at_once_take_what_one_after_another_takes(data, rho):
    n = data.draw(st.integers(2, 40))
    numbers = st.lists(st.integers(-1, 3), min_size=n, max_size=n).map(np.array)
    x = np.stack([data.draw(numbers), data.draw(numbers)], axis=1)
    marks = data.draw(numbers)
    pool = pool_of(x, data.draw(numbers), allowed=marks != 0, taken=np.flatnonzero(marks == 3)[:4])
    budget = data.draw(st.integers(0, int(pool.free.sum()))) + len(pool.taken)
    picked = select("saps", pool, budget, {"rho": rho})
    if budget > len(pool.taken) and "identical" not in " ".join(picked.warnings):
        assert picked.rows[len(pool.taken) :].tolist() == plain_saps(pool, budget - len(pool.taken), rho)


def test_the_ledger_tells_the_line_of_each_cluster_and_noise_is_one_more():
    pool = pool_of([0, 1, 2, 10, 11, 12, 6, 30], [0, 0, 0, 1, 1, 1, -1, -1])
    ledger = select("saps", pool, 4).ledger
    assert ledger.group.tolist() == [0, 0, 0, 1, 1, 1, 2, 2] and ledger.group_names == {2: "noise"}


@pytest.mark.parametrize("rho", [0.0, 0.25, 0.5, 1.0])
def test_rows_that_were_taken_stood_before_all_others_of_their_cluster(rho):
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 90)
    picked = select("saps", pool_of(rng.normal(size=(90, 2)), labels), 30, {"rho": rho})
    for cluster in range(3):
        (mine,) = np.nonzero(labels == cluster)
        taken = np.isin(mine, picked.rows)
        assert picked.ledger.value[mine[taken]].min() > picked.ledger.value[mine[~taken]].max()


def test_another_budget_or_share_measures_no_distance_again():
    pool = replace(TOY)
    select("saps", pool, 4)
    known = {key: id(value) for key, value in pool.memo.items()}
    select("saps", pool, 5, {"allocation": "sqrt"})
    assert {key: id(value) for key, value in pool.memo.items()} == known


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_the_next_in_line_is_the_row_that_a_larger_budget_takes(rho):
    pool = pool_of(np.random.default_rng(5).normal(size=(40, 2)), [0] * 40)
    few, more = (select("saps", pool, b, {"rho": rho}) for b in (6, 7))
    rest = np.setdiff1d(np.arange(40), few.rows)
    assert set(more.rows) - set(few.rows) == {rest[few.ledger.value[rest].argmax()]}
