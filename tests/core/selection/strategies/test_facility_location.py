"""Facility location: the vectors of selection 9.2, all subsets of small pools, plain greedy as judge."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection import Candidates, select
from core.selection.coverage import Dense, cover
from core.values import Silent

S5 = np.array(
    [
        [1, 0.8, 0.1, 0, 0.3],
        [0.8, 1, 0.2, 0.1, 0.3],
        [0.1, 0.2, 1, 0.6, 0.4],
        [0, 0.1, 0.6, 1, 0.2],
        [0.3, 0.3, 0.4, 0.2, 1],
    ]
)
POINTS = np.linalg.cholesky(S5)  # vectors whose cosines are S5


def pool_of(x, **more):
    x = np.asarray(x, dtype=np.float32)
    return Candidates(n=len(x), vectors={"embedding": x.reshape(len(x), -1)}, **more)


def scores(picked):
    return [reason.score for reason in picked.reasons]


def cosines(x):
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    return unit @ unit.T


def value(s, rows):
    return s[:, rows].max(axis=1, initial=0.0).sum() if len(rows) else 0.0


def is_greedy(s, order, gains, first=(), open_rows=None):
    """Whether every row, in its turn, adds most, and adds what is said; s (covered rows, candidates)."""
    held, left = list(first), set(range(s.shape[1]) if open_rows is None else open_rows) - set(first)
    slack = 4e-6 * max(s.sum(axis=0).max(), 1.0)
    for row, gain in zip(order, gains, strict=True):
        now = value(s, held)
        more = {j: value(s, [*held, j]) - now for j in left}
        assert more[row] >= max(more.values()) - slack
        assert gain == pytest.approx(more[row], abs=slack)
        held.append(row)
        left.remove(row)
    return True


def test_follows_the_hand_checked_order_and_gains():
    picked = select("facility_location", pool_of(POINTS), 5, {"kernel": "cos"})
    assert picked.rows.tolist() == [1, 2, 4, 3, 0]
    np.testing.assert_allclose(scores(picked), [2.4, 1.4, 0.6, 0.4, 0.2], atol=1e-5)
    np.testing.assert_allclose(picked.trace["objective"], [2.4, 3.8, 4.4, 4.8, 5.0], atol=1e-5)


@pytest.mark.parametrize(("k", "best"), [(2, 3.8), (3, 4.4)])
def test_reaches_the_best_of_all_subsets_of_the_vector(k, best):
    assert max(value(S5, list(rows)) for rows in combinations(range(5), k)) == pytest.approx(best)
    picked = select("facility_location", pool_of(POINTS), k, {"kernel": "cos"})
    assert value(S5, picked.rows) == pytest.approx(best)


def test_is_at_least_1_minus_1_over_e_of_the_best_of_all_subsets():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.normal(size=(9, 3))
        s = 0.5 + 0.5 * cosines(x)
        picked = select("facility_location", pool_of(x), 4)
        best = max(value(s, list(rows)) for rows in combinations(range(9), 4))
        assert (1 - 1 / np.e) * best <= value(s, picked.rows) <= best + 1e-5
        assert picked.trace["objective"][-1] == pytest.approx(value(s, picked.rows), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 30),
    levels=st.integers(1, 5),
    kernel=st.sampled_from(["cos01", "cos"]),
    neighbours=st.sampled_from([0, 1, 3, 8]),
)
def test_takes_what_plain_greedy_takes_with_pins_bans_ties_and_duplicates(
    seed, n, levels, kernel, neighbours
):
    rng = np.random.default_rng(seed)
    x = rng.integers(-levels, levels + 1, (n, 3)) + 0.001 * rng.integers(0, 2) * rng.normal(size=(n, 3))
    marks = rng.choice(["pin", "ban", "", "", ""], n)
    pins, usable = np.flatnonzero(marks == "pin"), np.flatnonzero(marks != "ban")
    pool = pool_of(x, taken=pins, allowed=marks != "ban")
    if len(usable) == len(pins):
        return  # nothing to choose
    picked = select("facility_location", pool, len(usable), {"kernel": kernel, "neighbours": neighbours})
    assert sorted(picked.rows) == usable.tolist()
    if 0 < neighbours < len(np.unique(x[usable].astype(np.float32), axis=0)) - 1:
        return  # judged below
    s = cosines(x)[usable]
    s = np.maximum(s, 0) if kernel == "cos" else 0.5 + 0.5 * s
    order = picked.rows[len(pins) :]
    assert is_greedy(s, order, scores(picked)[len(pins) :], pins, usable)
    assert picked.trace["objective"][-1] == pytest.approx(value(s, usable), rel=1e-5, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), k=st.integers(1, 5), kernel=st.sampled_from(["cos01", "cos"]))
def test_with_few_neighbours_it_is_plain_greedy_where_all_others_count_as_cosine_0(seed, k, kernel):
    x = np.random.default_rng(seed).normal(size=(24, 3))
    c = cosines(x)
    far = c - 2 * np.eye(24)
    near = far >= np.sort(far, axis=1)[:, -k][:, None]
    c[~(near | near.T | np.eye(24, dtype=bool))] = 0.0
    s = np.maximum(c, 0) if kernel == "cos" else 0.5 + 0.5 * np.maximum(c, 0)
    picked = select("facility_location", pool_of(x), 24, {"kernel": kernel, "neighbours": k})
    assert is_greedy(s, picked.rows, scores(picked))


def test_many_picks_lose_no_accuracy():
    """Gains are lowered thousands of times and fall from 300 to 0.001: they must not drift."""
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(60, 8)), 10, axis=0) + 0.02 * rng.normal(size=(600, 8))
    s = 0.5 + 0.5 * cosines(x.astype(np.float32))
    picked = select("facility_location", pool_of(x), 600)
    best, left = np.zeros(600), np.ones(600, dtype=bool)
    for row, gain in zip(picked.rows, scores(picked), strict=True):
        more = np.maximum(s - best[:, None], 0).sum(axis=0)
        assert more[row] >= more[left].max() * (1 - 1e-4) - 1e-6
        assert gain == pytest.approx(more[row], rel=1e-3, abs=1e-5)
        best, left[row] = np.maximum(best, s[:, row]), False


def test_ties_everywhere_go_to_the_lower_row():
    assert select("facility_location", pool_of(np.eye(60)), 40).rows.tolist() == list(range(40))


def test_identical_vectors_are_taken_in_order_and_said_to_cover_nothing_new():
    picked = select("facility_location", pool_of(np.ones((6, 3)), taken=np.array([3])), 4)
    assert picked.rows.tolist() == [3, 0, 1, 2]
    assert [r.role for r in picked.reasons] == ["pin", "duplicate", "duplicate", "duplicate"]
    np.testing.assert_allclose(picked.trace["objective"], 6.0, atol=1e-5)
    assert "exact duplicates" in picked.warnings[0]


def test_a_vector_that_occurs_often_counts_often():
    x = [(0, 1)] * 3 + [(1, 0)] * 2 + [(-1, 0)]
    assert select("facility_location", pool_of(x), 3, {"kernel": "cos"}).rows.tolist() == [0, 3, 5]


def test_a_zero_vector_is_similar_to_nothing():
    picked = select("facility_location", pool_of([(0, 0), (1, 0), (0, 1)]), 3, {"kernel": "cos"})
    assert picked.rows.tolist() == [1, 2, 0]
    np.testing.assert_allclose(scores(picked), [1, 1, 0], atol=1e-6)
    assert scores(select("facility_location", pool_of([(0, 0)]), 1)) == pytest.approx([0.5])


def test_a_pin_covers_what_is_near_it():
    x = [(1, 0), (0.99, 0.1), (0, 1)]
    assert select("facility_location", pool_of(x), 1).rows.tolist() == [1]
    assert select("facility_location", pool_of(x, taken=np.array([1])), 2).rows.tolist() == [1, 2]


def test_banned_rows_are_neither_taken_nor_covered():
    x = [(0, 1), (1, 0), (1, 0.01), (1, 0.02)]
    allowed = np.array([True, True, False, False])
    picked = select("facility_location", pool_of(x, allowed=allowed), 1, {"kernel": "cos"})
    assert picked.rows.tolist() == [0] and scores(picked) == pytest.approx([1.0])


def test_another_space_can_be_covered():
    pool = replace(
        pool_of(np.eye(3)), vectors={"pca50": np.array([(0, 1), (1, 0), (1, 0.1)], dtype=np.float32)}
    )
    assert select("facility_location", pool, 1, {"space": "pca50"}).rows.tolist() == [2]


def test_the_ledger_says_what_each_row_would_still_add():
    picked = select("facility_location", pool_of(POINTS), 2, {"kernel": "cos"})
    np.testing.assert_allclose(picked.ledger.value, [0.2, 2.4, 1.4, 0.4, 0.6], atol=1e-5)


def test_scaling_the_vectors_changes_nothing():
    x = np.random.default_rng(5).normal(size=(40, 4))
    a, b = (select("facility_location", pool_of(x * f), 20).rows for f in (1.0, 1e6))
    np.testing.assert_array_equal(a, b)


def test_covers_better_than_random():
    x = np.random.default_rng(1).normal(size=(300, 3))
    s = cosines(x)
    chosen = select("facility_location", pool_of(x), 20).rows
    drawn = [value(s, select("uniform", pool_of(x), 20, seed=seed).rows) for seed in range(20)]
    assert value(s, chosen) > max(drawn)


def test_rows_may_be_worth_something_by_themselves_and_weigh_differently():
    """The vector of the query form in selection 9.2: candidates a, b, c, queries 1 and 2, eta = 1."""
    s = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7]])  # (candidates, queries)
    everyone, nobody = np.ones(3, dtype=bool), np.empty(0, dtype=np.int64)
    rows, gain, _ = cover(Dense(s.T, s, np.ones(2)), everyone, nobody, 3, Silent(), s.max(axis=1))
    assert rows.tolist() == [0, 2, 1]
    np.testing.assert_allclose(gain, [1.9, 1.3, 0.8])
    rows, gain, _ = cover(Dense(s.T, s, np.array([1, 10])), everyone, nobody, 1, Silent())
    assert rows.tolist() == [2] and gain == pytest.approx([7.1])
