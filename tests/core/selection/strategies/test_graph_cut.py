"""Graph cut: the vectors of selection 9.2, the formula as a judge, and where it stops being monotone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection import Candidates, select
from core.selection.greedy import pick_falling
from core.selection.strategies.graph_cut import Cut
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


def pool_of(x, **more):
    x = np.asarray(x, dtype=np.float32)
    return Candidates(n=len(x), vectors={"embedding": x.reshape(len(x), -1)}, **more)


def scores(picked):
    return [reason.score for reason in picked.reasons]


def similarities(x):
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    return 0.5 + 0.5 * unit @ unit.T


def value(s, everyone, rows, trade):
    """The formula; the second sum counts every pair twice and every row once, with itself."""
    return s[np.ix_(everyone, rows)].sum() - trade * s[np.ix_(rows, rows)].sum()


@pytest.mark.parametrize(
    ("trade", "order", "gains"),
    [
        (0.4, [1, 2, 4, 0, 3], [2.0, 1.74, 1.24, 0.84, 0.78]),
        (1.0, [1, 2, 4, 3, 0], [1.4, 0.9, -0.2, -0.9, -1.2]),
    ],
)
def test_follows_the_hand_checked_orders_and_gains(trade, order, gains):
    model = Cut(np.linalg.cholesky(S5), trade)
    rows, gain = pick_falling(model, np.ones(5, dtype=bool), 5, Silent())
    assert rows.tolist() == order
    np.testing.assert_allclose(gain, gains, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 25),
    redundancy=st.sampled_from([0.0, 0.4, 0.5, 1.0]),
)
def test_takes_what_the_formula_says_with_pins_bans_ties_and_duplicates(seed, n, redundancy):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (n, 3))
    marks = rng.choice(["pin", "ban", "", "", ""], n)
    pins, usable = np.flatnonzero(marks == "pin"), np.flatnonzero(marks != "ban")
    if len(usable) == len(pins):
        return  # nothing to choose
    pool = pool_of(x, taken=pins, allowed=marks != "ban")
    picked = select("graph_cut", pool, len(usable), {"redundancy": redundancy})
    s, held, left = similarities(x), pins.tolist(), set(usable) - set(pins)
    for row, gain in list(zip(picked.rows, scores(picked), strict=True))[len(pins) :]:
        now = value(s, usable, held, redundancy)
        more = {j: value(s, usable, [*held, j], redundancy) - now for j in left}
        assert more[row] >= max(more.values()) - 1e-5
        assert gain == pytest.approx(more[row], abs=1e-5)
        held.append(row)
        left.remove(row)
    expected = [value(s, usable, picked.rows[: i + 1], redundancy) for i in range(len(picked.rows))]
    np.testing.assert_allclose(picked.trace["objective"], expected, atol=1e-4)
    assert picked.ledger.value[picked.rows[-1]] == pytest.approx(scores(picked)[-1])


@pytest.mark.parametrize("redundancy", [0.4, 1.0])
def test_looking_ahead_picks_the_same_rows_as_one_pass_per_pick(redundancy):
    x = np.random.default_rng(1).normal(size=(900, 6)).astype(np.float32)
    s = similarities(x)
    gain, order = s.sum(axis=0) - redundancy * s.diagonal(), []
    for _ in range(500):
        order.append(int(gain.argmax()))
        gain -= 2 * redundancy * s[order[-1]]
        gain[order[-1]] = -np.inf
    assert select("graph_cut", pool_of(x), 500, {"redundancy": redundancy}).rows.tolist() == order


def test_never_lowers_the_objective_up_to_one_half_and_says_so_above():
    x = np.random.default_rng(0).normal(size=(60, 3))
    calm = select("graph_cut", pool_of(x), 60, {"redundancy": 0.5})
    assert min(scores(calm)) >= -1e-9 and not calm.warnings
    wild = select("graph_cut", pool_of(x), 60, {"redundancy": 1.0})
    worse = sum(score < 0 for score in scores(wild))
    assert worse > 0 and wild.warnings[0].startswith(f"{worse} of the added rows lower the objective")


def test_without_a_redundancy_cost_the_most_typical_rows_come_first():
    x = np.random.default_rng(0).normal(size=(40, 3)) + 1
    picked = select("graph_cut", pool_of(x), 40, {"redundancy": 0.0})
    assert picked.rows.tolist() == np.argsort(-similarities(x).sum(axis=0), kind="stable").tolist()


def test_ties_everywhere_go_to_the_lower_row():
    assert select("graph_cut", pool_of(np.eye(700)), 600).rows.tolist() == list(range(600))
    assert select("graph_cut", pool_of(np.ones((50, 2))), 40).rows.tolist() == list(range(40))


def test_zero_vectors_and_a_single_row_are_legal():
    assert select("graph_cut", pool_of([(0, 0)]), 1).rows.tolist() == [0]
    x = [(0, 0), (1, 0), (1, 0.1), (1, -0.1)]
    assert select("graph_cut", pool_of(x), 4, {"redundancy": 0.0}).rows.tolist()[-1] == 0
