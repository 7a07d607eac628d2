"""Log-determinant: the vectors of selection 9.2, determinants of submatrices as a judge, and the sign."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection import Candidates, select

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


def pool_of(x, dtype=np.float32, **more):
    x = np.asarray(x, dtype=dtype)
    return Candidates(n=len(x), vectors={"embedding": x.reshape(len(x), -1)}, **more)


def scores(picked):
    return [reason.score for reason in picked.reasons]


def kernel_matrix(x, kernel, ridge):
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    s = unit @ unit.T
    return (s if kernel == "cos" else 0.5 + 0.5 * s) + ridge * np.eye(len(x))


def value(m, rows):
    return np.linalg.slogdet(m[np.ix_(rows, rows)])[1] if len(rows) else 0.0


def test_follows_the_hand_checked_order_and_values():
    picked = select("log_det", pool_of(POINTS, np.float64), 5, {"kernel": "cos", "ridge": 1e-6})
    assert picked.rows.tolist() == [0, 3, 4, 2, 1]
    np.testing.assert_allclose(picked.trace["objective"], [0, 0, -0.139262, -0.722370, -1.789642], atol=3e-5)


def test_prefers_what_is_unlike_the_chosen_rows():
    """Turned round, the sign of the gain would take the near-copy second."""
    x = [(1, 0, 0), (1, 0.01, 0), (0, 1, 0), (0, 0, 1)]
    assert select("log_det", pool_of(x), 4).rows.tolist() == [0, 2, 3, 1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 20),
    kernel=st.sampled_from(["cos01", "cos"]),
    ridge=st.sampled_from([1e-3, 0.1, 1.0]),
)
def test_takes_what_determinants_say_with_pins_bans_ties_and_duplicates(seed, n, kernel, ridge):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (n, 3))
    marks = rng.choice(["pin", "ban", "", "", ""], n)
    pins, usable = np.flatnonzero(marks == "pin"), np.flatnonzero(marks != "ban")
    if len(usable) == len(pins):
        return  # nothing to choose
    pool = pool_of(x, taken=pins, allowed=marks != "ban")
    picked = select("log_det", pool, len(usable), {"kernel": kernel, "ridge": ridge})
    m, held, left = kernel_matrix(x, kernel, ridge), pins.tolist(), set(usable) - set(pins)
    for row, gain in list(zip(picked.rows, scores(picked), strict=True))[len(pins) :]:
        now = value(m, held)
        more = {j: value(m, [*held, j]) - now for j in left}
        assert more[row] >= max(more.values()) - 1e-6
        assert gain == pytest.approx(more[row], abs=1e-6)
        held.append(row)
        left.remove(row)
    expected = [value(m, picked.rows[: i + 1]) for i in range(len(picked.rows))]
    np.testing.assert_allclose(picked.trace["objective"], expected, atol=1e-5)


def test_many_more_rows_than_dimensions_lose_no_accuracy():
    """A judge with a growing Cholesky factor, as in the source; four dimensions hold 400 rows."""
    x = np.random.default_rng(2).normal(size=(400, 3))
    picked = select("log_det", pool_of(x, np.float64), 400, {"ridge": 1e-6})
    m = kernel_matrix(x, "cos01", 1e-6)
    own, factor = m.diagonal().copy(), np.zeros((400, 0))
    for row, gain in zip(picked.rows, scores(picked), strict=True):
        assert gain == pytest.approx(np.log(own[row]), abs=1e-3)
        assert np.log(own[row]) >= np.log(own.max()) - 1e-3
        column = (m[:, row] - factor @ factor[row]) / np.sqrt(own[row])
        factor, own = np.column_stack([factor, column]), own - column**2
        own[row] = 1e-30


def test_looking_ahead_picks_the_same_rows_as_one_pass_per_pick():
    x = np.random.default_rng(1).normal(size=(600, 20)).astype(np.float32)
    m, order = kernel_matrix(x, "cos01", 1e-3), []
    own, factor = m.diagonal().copy(), np.zeros((600, 0))
    for _ in range(300):
        order.append(int(np.round(own, 10).argmax()))
        column = (m[:, order[-1]] - factor @ factor[order[-1]]) / np.sqrt(own[order[-1]])
        factor, own = np.column_stack([factor, column]), own - column**2
        own[order[-1]] = -np.inf
    assert select("log_det", pool_of(x), 300).rows.tolist() == order


def test_is_within_the_known_distance_of_the_best_of_all_subsets():
    """With ridge 1 every gain is at least 0 and greedy reaches 1 - 1/e of the best value."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        m = kernel_matrix(x := rng.normal(size=(9, 3)), "cos01", 1.0)
        best = max(value(m, list(rows)) for rows in combinations(range(9), 4))
        chosen = select("log_det", pool_of(x), 4, {"ridge": 1.0}).rows
        assert (1 - 1 / np.e) * best <= value(m, chosen) <= best + 1e-6


def test_a_second_copy_of_a_row_adds_the_log_of_about_twice_the_ridge():
    picked = select("log_det", pool_of([(1, 0), (1, 0), (1, 0)]), 3, {"kernel": "cos", "ridge": 1e-3})
    assert picked.rows.tolist() == [0, 1, 2]
    assert scores(picked)[1] == pytest.approx(np.log(2e-3), abs=1e-2)


def test_ties_everywhere_go_to_the_lower_row():
    for kernel in ("cos01", "cos"):
        picked = select("log_det", pool_of(np.eye(300)), 200, {"kernel": kernel})
        assert picked.rows.tolist() == list(range(200))
    assert select("log_det", pool_of(np.ones((40, 2))), 30).rows.tolist() == list(range(30))


def test_zero_vectors_come_last_and_a_single_row_is_legal():
    assert select("log_det", pool_of([(0, 0)]), 1, {"kernel": "cos"}).rows.tolist() == [0]
    x = [(0, 0), (1, 0), (0, 1)]
    assert select("log_det", pool_of(x), 3, {"kernel": "cos"}).rows.tolist() == [1, 2, 0]


def test_rows_are_less_redundant_than_random_ones():
    x = np.random.default_rng(1).normal(size=(300, 10))
    m = kernel_matrix(x, "cos01", 1e-3)
    chosen = value(m, select("log_det", pool_of(x), 30).rows)
    drawn = [value(m, select("uniform", pool_of(x), 30, seed=seed).rows) for seed in range(20)]
    assert chosen > max(drawn)
