"""Overlap of selections: the matrix of what pairs share, chance beside it, and exclusive intersections."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection.diagnostics import jaccard
from core.selection.overlap import exclusive, expected_matrix, jaccard_matrix

N = 12
arms = st.lists(st.sets(st.integers(0, N - 1)).map(sorted), min_size=1, max_size=5)


def rows(sets):
    return [np.array(part, dtype=np.int64) for part in sets]


def test_a_case_by_hand():
    sets = rows([[0, 1, 2, 3], [2, 3, 4], [3, 9], []])
    np.testing.assert_allclose(
        jaccard_matrix(sets, N),
        [[1, 2 / 5, 1 / 5, 0], [2 / 5, 1, 1 / 4, 0], [1 / 5, 1 / 4, 1, 0], [0, 0, 0, 1]],
    )
    assert exclusive(sets, N) == [((0,), 2), ((1,), 1), ((2,), 1), ((0, 1), 1), ((0, 1, 2), 1)]


@given(arms)
def test_every_pair_is_what_two_sets_give(sets):
    found = jaccard_matrix(rows(sets), N)
    slow = [[jaccard(a, b) for b in sets] for a in sets]
    np.testing.assert_allclose(found, slow)


@given(arms)
def test_exclusive_intersections_are_what_counting_row_by_row_gives(sets):
    slow = Counter(tuple(i for i, part in enumerate(sets) if row in part) for row in range(N))
    del slow[()]
    found = exclusive(rows(sets), N)
    assert dict(found) == dict(slow)
    assert sum(count for _, count in found) == len(set().union(*sets))
    assert [count for _, count in found] == sorted(slow.values(), reverse=True)


def test_two_random_selections_share_about_what_is_expected():
    rng = np.random.default_rng(0)
    sizes = (300, 300, 100)
    draws = [jaccard_matrix([rng.permutation(1000)[:m] for m in sizes], 1000) for _ in range(200)]
    np.testing.assert_allclose(
        np.mean(draws, axis=0), expected_matrix([np.arange(m) for m in sizes], 1000), rtol=0.02
    )
    alpha = 0.3
    assert expected_matrix([np.arange(300)] * 2, 1000)[0, 1] == pytest.approx(alpha / (2 - alpha))


def test_nothing_to_compare_is_nothing():
    assert exclusive([], N) == []
    assert jaccard_matrix([], N).shape == expected_matrix([], N).shape == (0, 0)
    assert exclusive(rows([[]]), N) == []
