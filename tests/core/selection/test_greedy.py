"""Looking ahead under falling gains: one pass per pick as a judge, ties, and how few passes are made."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection.greedy import leaders, pick_falling
from core.values import Silent


class Falls:
    """Gains that fall by a fixed table (n, n) of costs, and a count of the passes over all rows."""

    def __init__(self, gains, cost):
        self.gains, self.cost, self.passes = gains.astype(np.float64), cost.astype(np.float64), 0

    def among(self, rows):
        part = self.cost[np.ix_(rows, rows)]
        return lambda place: part[place]

    def take(self, rows):
        self.passes += 1
        self.gains -= self.cost[rows].sum(axis=0)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**16), n=st.integers(1, 120), levels=st.integers(1, 50))
def test_takes_what_one_pass_per_pick_takes(seed, n, levels):
    rng = np.random.default_rng(seed)
    gains, cost = rng.integers(0, levels, n), rng.integers(0, 3, (n, n))
    open_rows = rng.random(n) < 0.8
    count = int(rng.integers(0, open_rows.sum() + 1))
    left, plain, order, worth = open_rows.copy(), gains.copy(), [], []
    for _ in range(count):
        j = int(np.where(left, plain, -(10**9)).argmax())
        order.append(j)
        worth.append(plain[j])
        plain -= cost[j]
        left[j] = False
    model = Falls(gains, cost)
    rows, gain = pick_falling(model, open_rows, count, Silent())
    assert rows.tolist() == order and gain.tolist() == worth
    np.testing.assert_array_equal(model.gains, plain)


def test_rows_that_do_not_touch_each_other_need_few_passes():
    model = Falls(np.random.default_rng(0).random(2000), np.zeros((2000, 2000)))
    pick_falling(model, np.ones(2000, dtype=bool), 1000, Silent())
    assert model.passes < 10


def test_differences_that_are_rounding_are_ties():
    gains = np.array([1.0, 1.0 + 1e-14, 1.0 - 1e-14, 2.0])
    rows, _ = pick_falling(Falls(gains, np.zeros((4, 4))), np.ones(4, dtype=bool), 4, Silent())
    assert rows.tolist() == [3, 0, 1, 2]


@given(values=st.lists(st.integers(0, 4), min_size=1, max_size=30), count=st.integers(1, 35))
def test_leaders_are_the_first_of_a_stable_sort_and_bound_all_others(values, count):
    gains = np.array(values, dtype=np.float64)
    rows, bound, rival = leaders(gains, count)
    order = np.argsort(-gains, kind="stable")
    assert rows.tolist() == sorted(order[:count].tolist())
    others = order[count:]
    assert all(gains[i] <= bound for i in others)
    assert rival == min((i for i in others if gains[i] == bound), default=len(gains))
