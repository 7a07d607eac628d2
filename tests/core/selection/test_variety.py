"""Taking rows apart from those before them: batches take exactly what the slow loop takes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection import variety
from core.selection.variety import Varied
from core.values import Silent


def slow(x, total, weight, rows, count, taken):
    """One pass over all rows per pick."""
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    like = np.round((x @ x[taken].T).max(axis=1, initial=0.0), 9).clip(0, 1)
    taken, penalties, free = list(taken), [], np.isin(np.arange(len(x)), rows)
    for _ in range(min(count, len(rows))):
        row = int(np.where(free, total - weight * like, -np.inf).argmax())
        taken.append(row)
        penalties.append(weight * like[row])
        free[row] = False
        like = np.maximum(like, np.round(x @ x[row], 9).clip(0, 1))
    return taken, penalties


@st.composite
def cases(draw):
    n, d = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.integers(-2, 3, (n, d)) if draw(st.booleans()) else rng.normal(size=(n, d))
    total = rng.integers(0, 4, n) / 4 if draw(st.booleans()) else np.round(rng.random(n), 12)
    pins = rng.permutation(n)[: draw(st.integers(0, 3))]
    return x.astype(draw(st.sampled_from([np.float32, np.float64]))), total, pins, rng


@settings(max_examples=300, deadline=None)
@given(
    case=cases(), weight=st.sampled_from([0.1, 0.5, 1.0]), ahead=st.integers(1, 5), fresh=st.integers(1, 9)
)
def test_batches_take_what_the_slow_loop_takes_pins_duplicates_and_ties_included(case, weight, ahead, fresh):
    x, total, pins, rng = case
    with pytest.MonkeyPatch.context() as patch:  # batches so small that many are needed
        patch.setattr(variety, "AHEAD", ahead)
        patch.setattr(variety, "FRESH", (fresh, 2 * fresh))
        varied, taken = Varied(x, total, weight, pins, Silent()), list(pins)
        for _ in range(2):  # the second call knows what the first took
            rows = np.setdiff1d(np.flatnonzero(rng.random(len(x)) < 0.7), taken)
            count = int(rng.integers(0, len(x) + 2))
            found = varied(rows, count)
            taken, penalties = slow(x, total, weight, rows, count, taken)
            assert found.tolist() == taken[len(taken) - len(found) :]
            np.testing.assert_allclose(varied.penalty[found], penalties, atol=1e-8)


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_thousands_of_rows_in_full_batches_are_those_of_the_slow_loop(weight):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5000, 8)).astype(np.float32)[rng.integers(0, 4000, 5000)]  # with duplicates
    total = np.round(rng.random(5000), 12)
    rows = np.arange(5000)
    found = Varied(x, total, weight, rows[:0], Silent())(rows, 700)
    assert found.tolist() == slow(x, total, weight, rows, 700, [])[0]


def test_a_near_copy_is_passed_over_for_a_row_that_is_worth_a_little_less():
    x = np.array([[1, 0], [1, 0.01], [0, 1]], dtype=np.float32)
    total = np.array([1.0, 0.9, 0.8])
    assert Varied(x, total, 0.5, np.empty(0, int), Silent())(np.arange(3), 3).tolist() == [0, 2, 1]
    assert Varied(x, total, 0.05, np.empty(0, int), Silent())(np.arange(3), 3).tolist() == [0, 1, 2]


def test_opposite_and_zero_vectors_cost_nothing():
    x = np.array([[1, 0], [-1, 0], [0, 0]], dtype=np.float32)
    varied = Varied(x, np.array([1.0, 0.5, 0.4]), 1.0, np.empty(0, int), Silent())
    assert varied(np.arange(3), 3).tolist() == [0, 1, 2]
    assert not varied.penalty.any()
