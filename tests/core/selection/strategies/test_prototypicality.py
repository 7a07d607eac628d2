"""Prototypicality: near or far from the own centroid, over all clusters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.selection import STRATEGIES, Candidates, select

X = np.array([[0], [1], [2], [3], [4], [10], [11], [13]], dtype=np.float32)
TOY = Candidates(n=8, vectors={"pca50": X}, clusters={"kmeans": np.array([0] * 5 + [1] * 3)})


def run(budget, pool=TOY, **given):
    return select("prototypicality", pool, budget, given)


def test_far_and_near_are_measured_to_the_own_centroid():
    assert run(8, side="far").rows.tolist() == [0, 4, 7, 5, 1, 3, 6, 2]  # 2 2 1.67 1.33 1 1 .33 0
    assert run(8, side="near").rows.tolist() == [2, 6, 1, 3, 5, 7, 0, 4]
    assert run(3, side="near").reasons[0].score == 0.0


def test_a_row_near_another_cluster_is_still_far_from_its_own():
    pool = Candidates(n=8, vectors={"pca50": X}, clusters={"kmeans": np.array([0] * 4 + [1] * 4)})
    assert run(1, pool=pool).rows.tolist() == [4]  # 5.5 from the mean of 4, 10, 11, 13


def test_noise_is_measured_to_the_nearest_centroid():
    pool = Candidates(n=4, vectors={"pca50": X[[0, 2, 5, 7]]}, clusters={"hdbscan": np.array([0, 0, 0, -1])})
    picked = run(1, pool=pool, clusters="hdbscan")
    assert picked.rows.tolist() == [3] and picked.reasons[0].cluster == -1


def test_pins_and_bans_are_passed_over_in_the_same_order():
    pool = Candidates(
        n=8,
        vectors={"pca50": X},
        clusters=TOY.clusters,
        taken=np.array([4]),
        allowed=np.arange(8) != 7,
    )
    assert run(3, pool=pool).rows.tolist() == [4, 0, 5]


def test_the_ledger_ranks_by_the_wanted_side():
    for side in ("near", "far"):
        picked = run(8, side=side)
        assert np.argsort(-picked.ledger.value, kind="stable").tolist() == picked.rows.tolist()


def test_it_never_clusters_itself():
    spec = STRATEGIES["prototypicality"]
    assert spec.needs(spec.params()) == ("cluster:kmeans", "vectors:pca50")


@given(st.integers(1, 25), st.sampled_from(["near", "far"]), st.integers(0, 2**16), st.data())
def test_is_a_plain_sort_by_distance(n, side, seed, data):
    rng = np.random.default_rng(seed)
    x, label = rng.integers(0, 4, (n, 2)).astype(np.float64), rng.integers(0, 3, n)
    middle = {c: x[label == c].mean(axis=0) for c in set(label.tolist())}
    far = [round(float(np.hypot(*(x[i] - middle[label[i]]))), 9) for i in range(n)]
    sign = -1 if side == "far" else 1
    order = sorted(range(n), key=lambda i: (sign * far[i], i))
    budget = data.draw(st.integers(1, n))
    pool = Candidates(n=n, vectors={"pca50": x}, clusters={"kmeans": label})
    assert run(budget, pool=pool, side=side).rows.tolist() == order[:budget]
