"""Herding: the vectors of selection 9.3, against exact fractions, ties, pins, bans."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection import Candidates, select


def pool_of(x, **more):
    x = np.asarray(x, dtype=np.float32)
    return Candidates(n=len(x), vectors={"embedding": x.reshape(len(x), -1)}, **more)


def run(x, budget, **more):
    return select("herding", pool_of(x, **more), budget)


def test_three_points_on_a_line():
    assert run([0, 1, 5], 3).rows.tolist() == [1, 2, 0]  # the argmax would give 2, 1, 0


def test_five_points_with_a_tie_at_the_second_step():
    assert run([(0, 0), (2, 0), (0, 2), (4, 4), (1, 1)], 5).rows.tolist() == [4, 1, 2, 3, 0]


def plain(x, pins, allowed, budget):
    """The rule argmin ||(t + 1) mu - sum - x||^2 in exact fractions, ties by row."""
    rows = [i for i in range(len(x)) if allowed[i]]
    d = len(x[0])
    mean = [Fraction(sum(x[i][j] for i in rows), len(rows)) for j in range(d)]
    chosen = list(pins)
    while len(chosen) < budget:
        goal = [(len(chosen) + 1) * mean[j] - sum(x[i][j] for i in chosen) for j in range(d)]
        left = [i for i in rows if i not in chosen]
        chosen.append(min(left, key=lambda i: (sum((goal[j] - x[i][j]) ** 2 for j in range(d)), i)))
    return chosen


@given(st.integers(1, 20), st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**16), st.data())
def test_agrees_with_exact_fractions(n, d, levels, seed, data):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, (n, d))
    allowed = rng.random(n) < 0.8
    allowed[0] = True
    pins = rng.permutation(np.flatnonzero(allowed))[: data.draw(st.integers(0, 3))]
    budget = data.draw(st.integers(len(pins), int(allowed.sum())))
    picked = select("herding", pool_of(x, allowed=allowed, taken=pins), budget)
    assert picked.rows.tolist() == plain(x.tolist(), pins.tolist(), allowed, budget)


def test_the_mean_of_the_chosen_stays_nearer_the_pools_than_chance_would():
    x = np.random.default_rng(0).normal(size=(2000, 16)).astype(np.float32)
    picked = run(x, 100)
    gap = np.linalg.norm(x[picked.rows].mean(axis=0) - x.mean(axis=0))
    chance = [
        np.linalg.norm(x[select("uniform", pool_of(x), 100, seed=s).rows].mean(axis=0)) for s in range(5)
    ]
    assert gap < min(chance) / 8
    assert picked.trace["mean_gap"][-1] == pytest.approx(gap, rel=1e-3)
    assert picked.reasons[-1].score == pytest.approx(100 * gap, rel=1e-3)


def test_copies_of_one_point_are_taken_in_row_order():
    x = np.tile(np.random.default_rng(1).normal(size=(1, 384)), (50, 1))
    assert run(x, 50).rows.tolist() == list(range(50))


def test_the_ledger_ranks_what_would_be_next():
    x = np.random.default_rng(2).normal(size=(40, 3))
    few, more = run(x, 10), run(x, 11)
    value = few.ledger.value.copy()
    value[few.rows] = -np.inf
    assert int(value.argmax()) == more.rows[10]


def test_banned_rows_are_no_part_of_the_mean():
    picked = run([0, 1, 5, 900], 3, allowed=np.array([True, True, True, False]))
    assert picked.rows.tolist() == [1, 2, 0]


def nearest_by_loop(x, budget):
    """Every distance in float64 at every step."""
    x, taken = np.asarray(x, dtype=np.float64), []
    for t in range(budget):
        distance = np.linalg.norm((t + 1) * x.mean(axis=0) - x[taken].sum(axis=0) - x, axis=1)
        distance[taken] = np.inf
        taken.append(int(distance.argmin()))
    return taken


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
def test_one_far_row_does_not_blur_the_distances_of_all_others(kind, spread):
    x = np.random.default_rng(0).normal(scale=spread, size=(1000, 4)).astype(kind)
    x[-1] = (1, 0, 0, 0)
    pool = Candidates(n=1000, vectors={"embedding": x})
    assert select("herding", pool, 20).rows.tolist() == nearest_by_loop(x, 20)


def test_a_thousand_rows_too_close_for_products_are_all_compared():
    x = np.array([1.0, 2.0, 3.0], dtype=np.float32) * np.float32(1 / 3) + np.zeros((1000, 1), np.float32)
    x[:, 0] += np.float32(6e-8) * np.arange(1000)[::-1]  # the mean lies near row 499
    x[0, 0] -= 300 * np.float32(6e-8) * 2  # and now a little below, at the middle of no neat pattern
    assert run(x, 12).rows.tolist() == nearest_by_loop(x, 12)


def test_the_ledger_tells_distances_apart_that_products_cannot():
    x = np.random.default_rng(3).normal(scale=1e-5, size=(200, 4)).astype(np.float32)
    x[-1] = (1, 0, 0, 0)
    few = run(x, 10)
    goal = 11 * x.mean(axis=0, dtype=np.float64) - x[few.rows].sum(axis=0, dtype=np.float64)
    np.testing.assert_allclose(-few.ledger.value, np.linalg.norm(goal - x, axis=1), rtol=1e-9)
