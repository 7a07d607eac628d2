"""D2: the vector of selection 9.3, messages passed one by one as a judge, and what pins and bans do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.selection import Candidates, Score, select


def pool_of(x, score, higher_is="harder", **more):
    x = np.asarray(x, dtype=more.pop("dtype", np.float32))
    return Candidates(
        n=len(x),
        vectors={"embedding": x.reshape(len(x), -1)},
        scores={"el2n": Score(np.asarray(score, dtype=np.float64), higher_is)},
        **more,
    )


def scores(picked):
    return [reason.score for reason in picked.reasons]


def plain(x, score, pins, usable, count, k, gamma, symmetric):
    """One message after another, over a dictionary of neighbours."""
    x = np.asarray(x, dtype=np.float64)
    k = min(k, len(usable) - 1)
    d = {(i, j): np.sqrt(((x[i] - x[j]) ** 2).sum()) for i in usable for j in usable}
    hears = {i: set(sorted((j for j in usable if j != i), key=lambda j: (d[i, j], j))[:k]) for i in usable}
    if symmetric:
        hears = {i: hears[i] | {j for j in usable if i in hears[j]} for i in usable}
    worth = {i: score[i] + sum(np.exp(-d[i, j]) * score[j] for j in hears[i]) for i in usable}
    start, gone, order, values = dict(worth), set(), [], []
    for turn in range(len(pins) + count):
        i = (
            pins[turn]
            if turn < len(pins)
            else max(set(usable) - gone - set(pins), key=lambda i: (round(worth[i], 11), -i))
        )
        gone.add(i)
        for j in hears[i] - gone:
            worth[j] -= np.exp(-gamma * d[i, j]) * worth[i]
        if turn >= len(pins):
            order.append(i)
            values.append(worth[i])
    return start, order, values


def test_follows_the_hand_checked_messages_and_picks():
    settings = {"neighbours": 1, "gamma": 0.1, "graph": "directed"}
    picked = select("d2", pool_of([0, 1, 2, 10], [1, 2, 1, 3]), 4, settings)
    assert picked.rows.tolist() == [3, 1, 2, 0]
    assert scores(picked)[:2] == pytest.approx([3.000335, 2.367879], abs=1e-6)
    start, order, _ = plain([[0], [1], [2], [10]], [1, 2, 1, 3], [], range(4), 3, 1, 0.1, symmetric=False)
    np.testing.assert_allclose(list(start.values()), [1.735759, 2.367879, 1.735759, 3.000335], atol=1e-6)
    assert order == [3, 1, 2]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 20),
    k=st.integers(1, 6),
    gamma=st.sampled_from([0.0, 0.1, 1.0]),
    graph=st.sampled_from(["directed", "symmetric"]),
)
def test_takes_what_messages_passed_one_by_one_say(seed, n, k, gamma, graph):
    rng = np.random.default_rng(seed)
    x, score = rng.integers(-3, 4, (n, 2)), rng.random(n)
    marks = rng.choice(["pin", "ban", "", "", ""], n)
    pins, usable = np.flatnonzero(marks == "pin"), np.flatnonzero(marks != "ban")
    if len(usable) == len(pins):
        return  # nothing to choose
    pool = pool_of(x, score, taken=pins, allowed=marks != "ban")
    given_settings = {"neighbours": k, "gamma": gamma, "graph": graph}
    picked = select("d2", pool, len(usable), given_settings)
    count = len(usable) - len(pins)
    _, order, values = plain(x, score, pins.tolist(), usable.tolist(), count, k, gamma, graph == "symmetric")
    assert picked.rows[len(pins) :].tolist() == order
    np.testing.assert_allclose(scores(picked)[len(pins) :], values, atol=1e-9)


def test_directed_and_symmetric_graphs_differ():
    """Row 2 is nobody's nearest but row 3's: only in the symmetric graph does it hear of row 3."""
    x, score = [0, 1, 2.5, 9], [1, 1, 1.2, 50]
    directed = select("d2", pool_of(x, score), 2, {"neighbours": 1, "graph": "directed"})
    symmetric = select("d2", pool_of(x, score), 2, {"neighbours": 1, "graph": "symmetric"})
    assert directed.rows.tolist() == [3, 0]
    assert symmetric.ledger.value[2] != pytest.approx(directed.ledger.value[2])


def test_neighbours_of_a_taken_row_are_pushed_back():
    """Rows 0 and 1 are the hardest and twins: the second must wait for the lone row 2."""
    x, score = [(0, 0), (0, 0.01), (9, 9), (9, 9.5)], [5, 4.9, 3, 2]
    assert select("d2", pool_of(x, score), 2, {"neighbours": 1}).rows.tolist() == [0, 2]
    assert select("d2", pool_of(x, score, taken=np.array([1])), 2, {"neighbours": 1}).rows.tolist() == [1, 2]


def test_a_score_where_higher_is_easier_is_turned_round_and_shifted():
    x, score = np.arange(6) * 1000.0, np.array([3, 1, 2, 5, 4, 6])
    assert select("d2", pool_of(x, score, "easier"), 6).rows.tolist() == [1, 2, 0, 4, 3, 5]
    assert scores(select("d2", pool_of(x, score, "easier"), 6))[-1] == pytest.approx(0.0, abs=1e-9)


def test_banned_rows_send_no_messages():
    x, score = [0, 0, 5, 6], [1, 100, 1, 1.1]
    allowed = np.array([True, False, True, True])
    picked = select("d2", pool_of(x, score, allowed=allowed), 1, {"neighbours": 1})
    assert picked.rows.tolist() == [3]


def test_duplicates_are_neighbours_at_distance_0():
    picked = select("d2", pool_of(np.ones((5, 2)), [1, 2, 3, 4, 5]), 5, {"neighbours": 4})
    assert sorted(picked.rows.tolist()) == [0, 1, 2, 3, 4]
    assert scores(picked)[0] == pytest.approx(15.0)
    assert picked.rows[0] == 0  # all hear of all: a tie, which goes to the lower row


def test_near_duplicates_far_from_the_origin_keep_their_distances():
    x = 1000 + np.array([[0.0], [0.001], [0.5], [0.501]])
    picked = select("d2", pool_of(x, [1, 1.01, 1, 1], dtype=np.float64), 2, {"neighbours": 1})
    assert picked.rows.tolist() == [1, 2]
    assert scores(picked)[0] == pytest.approx(1.01 + np.exp(-0.001), abs=1e-9)


def test_a_single_row_is_legal_and_an_infinite_score_is_refused():
    assert select("d2", pool_of([3], [1]), 1).rows.tolist() == [0]
    with pytest.raises(BadInput, match="'el2n' is infinite for 1 rows"):
        select("d2", pool_of([1, 2], [1, np.inf]), 1)
