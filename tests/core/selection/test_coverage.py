"""Coverage: lowered gains against gains summed anew, in both forms, and the plain lazy heap as a judge."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.selection.coverage import Dense, Sparse, cover, square
from core.selection.kernels import Lists, features
from core.values import Silent

NOBODY = np.empty(0, dtype=np.int64)


def both_forms(s, weight):
    """The same similarities s (m, n), once in full and once as lists of what is not 0."""
    row, other = np.nonzero(s)
    by_row = Lists.of(row, other, s[row, other], s.shape)
    by_candidate = Lists.of(other, row, s[row, other], s.shape[::-1])
    return Dense(s, np.ascontiguousarray(s.T), weight), Sparse(by_row, by_candidate, weight)


def random_table(seed):
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 15, 2)
    s = np.where(rng.random((m, n)) < 0.6, rng.random((m, n)), 0).astype(np.float32)
    return s, rng.integers(1, 4, m).astype(np.float32), rng


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_lowering_gains_is_summing_them_anew(seed):
    s, weight, rng = random_table(seed)
    best = (rng.random(len(s)) * 0.5).astype(np.float32)
    risen = np.flatnonzero(rng.random(len(s)) < 0.5)
    new = best.copy()
    new[risen] += rng.random(len(risen)).astype(np.float32) * 0.4
    for form in both_forms(s, weight):
        gains = form.gains(best)
        np.testing.assert_allclose(
            gains, (np.maximum(s - best[:, None], 0) * weight[:, None]).sum(axis=0), atol=1e-5
        )
        form.lower(gains, risen, best[risen], new[risen])
        np.testing.assert_allclose(gains, form.gains(new), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_both_forms_choose_the_same(seed):
    s, weight, rng = random_table(seed)
    n = s.shape[1]
    held = rng.permutation(n)[: rng.integers(0, n)]
    open_rows = np.ones(n, dtype=bool)
    open_rows[held] = False
    extra = rng.random(n)
    dense, sparse = (
        cover(form, open_rows, held, int(open_rows.sum()), Silent(), extra) for form in both_forms(s, weight)
    )
    np.testing.assert_array_equal(dense[0], sparse[0])
    np.testing.assert_allclose(dense[1], sparse[1], atol=1e-5)
    np.testing.assert_allclose(dense[2], sparse[2], atol=1e-5)


@pytest.mark.parametrize("kind", ["normal", "clusters"])
def test_reaches_the_objective_of_the_plain_lazy_heap(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 10))
    if kind == "clusters":
        x += 4 * rng.normal(size=(20, 10))[rng.integers(0, 20, 500)]
    s = square(features(x, "cos01"), np.ones(500, dtype=np.float32))
    full = s.by_row.astype(np.float64)
    best, heap, order = np.zeros(500), [(-g, j) for j, g in enumerate(full.sum(axis=0))], []
    heapq.heapify(heap)
    while len(order) < 200:
        _, j = heapq.heappop(heap)
        gain = np.round(np.maximum(full[j] - best, 0).sum(), 9)
        if (-gain, j) > heap[0]:  # two rows that cover only each other tie: the lower one is taken
            heapq.heappush(heap, (-gain, j))
        else:
            order.append(j)
            best = np.maximum(best, full[j])
    rows, gain, _ = cover(s, np.ones(500, dtype=bool), NOBODY, 200, Silent())
    assert rows.tolist() == order
    assert gain.sum() == pytest.approx(best.sum(), rel=1e-6)


def test_small_gains_are_not_lost_in_the_rounding_of_large_ones():
    """Row 0 weighs 10 million others: float32 sums of its gains are right to about 1 in absolute terms."""
    rng = np.random.default_rng(0)
    table = rng.random((300, 300)).astype(np.float32)
    weight = np.ones(300, dtype=np.float32)
    weight[0] = 1e7
    rows, best = [], np.zeros(300)
    for _ in range(60):
        more = weight @ np.maximum(table - best[:, None], 0).astype(np.float64)
        rows.append(int(more.argmax()))
        best = np.maximum(best, table[:, rows[-1]])
    found, gain, _ = cover(
        Dense(table, table.T.copy(), weight), np.ones(300, dtype=bool), NOBODY, 60, Silent()
    )
    assert found.tolist() == rows
    assert gain.sum() == pytest.approx(weight @ best, rel=1e-6)


def test_the_same_row_held_twice_gives_its_gain_once():
    s = square(np.eye(3, dtype=np.float32), np.ones(3, dtype=np.float32))
    _, gain, _ = cover(s, np.array([True, False, True]), np.array([1, 1]), 2, Silent())
    assert gain.tolist() == [1, 0, 1, 1]


def test_with_nothing_to_cover_only_own_worth_counts_negative_too():
    nothing = Dense(np.empty((0, 4)), np.empty((4, 0)), np.empty(0))
    worth = np.array([-2.0, 3.0, -1.0, 3.0])
    rows, gain, _ = cover(nothing, np.ones(4, dtype=bool), NOBODY, 4, Silent(), worth)
    assert rows.tolist() == [1, 3, 2, 0] and gain.tolist() == [3, 3, -1, -2]
