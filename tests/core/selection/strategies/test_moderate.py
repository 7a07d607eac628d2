"""Moderate: exactly the budget around the median rank of distance, medians per class (selection 9.3)."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection import STRATEGIES, Candidates, select

DISTANCES = [0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6, 1.0]


def around_zero(distances, **more):
    """A pool whose rows lie at these distances from the median: each also on the other side, banned."""
    x = np.array([*distances, *(-d for d in distances)])[:, None]
    n = len(x)
    allowed = np.arange(n) < len(distances)
    return Candidates(
        n=n,
        vectors={"embedding": x},
        clusters={"kmeans": np.zeros(n, dtype=int), "hdbscan": np.zeros(n, dtype=int)},
        allowed=allowed,
        **more,
    )


def run(pool, budget, **given):
    return select("moderate", pool, budget, {"classes": "kmeans", **given})


def test_the_case_of_ten_distances():
    picked = run(around_zero(DISTANCES), 4)
    assert set(picked.rows.tolist()) == {2, 4, 7, 8}
    assert sorted(r.score for r in picked.reasons) == pytest.approx([0.4, 0.5, 0.6, 0.7])


def test_exactly_the_budget_where_rounding_would_miss_it():
    assert len(run(around_zero([1, 2, 3, 4, 5, 6]), 3).rows) == 3


def test_from_the_median_outwards_the_nearer_side_first():
    assert run(around_zero([1, 2, 3, 4, 5]), 5).rows.tolist() == [2, 1, 3, 0, 4]
    assert run(around_zero([1, 2, 3, 4]), 4).rows.tolist() == [1, 2, 0, 3]


def test_every_class_has_a_median_of_its_own_but_one_ranking():
    x = np.array([0, 1, 5, 100, 100, 101, 140], dtype=float)[:, None]
    pool = Candidates(n=7, vectors={"embedding": x}, clusters={"kmeans": np.array([0, 0, 0, 1, 1, 1, 1])})
    picked = run(pool, 7)  # medians 1 and 100.5: distances 1 0 4 .5 .5 .5 39.5
    distance = [0.0] * 7
    for row, why in zip(picked.rows, picked.reasons, strict=True):
        distance[row] = why.score
    assert distance == [1, 0, 4, 0.5, 0.5, 0.5, 39.5]
    assert picked.rows.tolist() == [5, 4, 0, 3, 2, 1, 6]
    assert {r.cluster for r in picked.reasons[:1]} == {1}


def test_a_row_belongs_to_its_rarest_category_and_rows_of_none_are_a_class():
    member = np.array([[1, 1], [1, 0], [1, 0], [0, 0], [0, 0]], dtype=bool)
    pool = Candidates(
        n=5,
        vectors={"embedding": np.array([[50], [1], [2], [8], [9]], dtype=float)},
        category_names=("common", "rare"),
        categories=member,
    )
    picked = run(pool, 5, classes="category")
    found = {int(r): (w.category, w.score) for r, w in zip(picked.rows, picked.reasons, strict=True)}
    assert found == {
        0: ("rare", 0.0),
        1: ("common", 0.5),
        2: ("common", 0.5),
        3: (None, 0.5),
        4: (None, 0.5),
    }


def test_pins_hold_their_ranks():
    pool = around_zero([1, 2, 3, 4, 5], taken=np.array([2, 1]))
    assert run(pool, 4).rows.tolist() == [2, 1, 3, 0]


def test_needs_what_the_classes_are_made_of():
    spec = STRATEGIES["moderate"]
    assert spec.needs(spec.params()) == ("column:category", "vectors:embedding")
    assert spec.needs(spec.params(classes="hdbscan", space="pca50")) == ("cluster:hdbscan", "vectors:pca50")


@given(st.integers(1, 25), st.integers(0, 2**16), st.data())
def test_is_a_window_of_a_plain_sort_centred_on_the_middle(n, seed, data):
    rng = np.random.default_rng(seed)
    x, label = rng.integers(0, 5, (n, 2)).astype(np.float32), rng.integers(-1, 2, n)
    budget = data.draw(st.integers(1, n))
    middle = {
        c: [statistics.median(float(v) for v in x[label == c, j]) for j in range(2)]
        for c in set(label.tolist())
    }
    far = [
        round(sum((float(v) - m) ** 2 for v, m in zip(x[i], middle[label[i]], strict=True)), 9)
        for i in range(n)
    ]
    order = sorted(range(n), key=lambda i: (far[i], i))
    start = (n - budget) // 2
    pool = Candidates(n=n, vectors={"embedding": x}, clusters={"hdbscan": label})
    assert set(run(pool, budget, classes="hdbscan").rows.tolist()) == set(order[start : start + budget])
