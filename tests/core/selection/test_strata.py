"""Strata: nothing is lost where the reference code loses it (selection 7.4, 7.5)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection.strata import split_hard_tail, stratum_of, tail_size


def sizes(values, k, binning="equal_width"):
    return np.bincount(stratum_of(np.array(values, dtype=float), k, binning), minlength=k).tolist()


@pytest.mark.parametrize(
    ("values", "k", "expected"),
    [
        ([0, 0.1, 0.1, 0.2, 0.3, 0.55, 0.6, 0.9, 0.95, 1.0], 4, [4, 1, 2, 3]),
        ([-3, -2, -1], 3, [1, 1, 1]),  # the reference moves the upper edge below the maximum
        ([-5, -2, 0], 5, [1, 0, 0, 1, 1]),  # the reference loses the row at 0
        ([-7, -7, -7], 4, [3, 0, 0, 0]),  # the reference selects nothing
        ([0, 0], 2, [2, 0]),
    ],
)
def test_equal_width_strata_hold_every_row(values, k, expected):
    assert sizes(values, k) == expected


def test_a_small_spread_on_a_large_offset_is_spread_over_all_strata():
    assert stratum_of(np.array([1000, 1000.01, 1000.02]), 50).tolist() == [0, 25, 49]


def test_quantile_strata_are_even_where_one_outlier_spoils_equal_width():
    values = [*range(1, 10), 1000]
    assert sizes(values, 5) == [9, 0, 0, 0, 1]
    assert sizes(values, 5, "quantile") == [2, 2, 2, 2, 2]


def test_equal_values_share_a_quantile_stratum():
    assert len(set(stratum_of(np.array([1, 2, 2, 2, 2, 3.0]), 3, "quantile")[1:5])) == 1


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    k=st.integers(1, 20),
    quantile=st.booleans(),
)
def test_strata_are_ordered_like_their_values_and_never_out_of_range(values, k, quantile):
    s = np.array(values)
    bins = stratum_of(s, k, "quantile" if quantile else "equal_width")
    assert bins.min() >= 0 and bins.max() < k
    assert (np.diff(bins[np.argsort(s, kind="stable")]) >= 0).all()


def test_the_tail_is_counted_exactly_and_ties_cut_the_lower_row():
    assert tail_size(0.29, 100) == 29
    kept, cut = split_hard_tail(np.array([1, 3, 3, 2.0]), np.arange(4), 0.25)
    assert cut.tolist() == [1] and kept.tolist() == [0, 2, 3]


def test_the_tail_shrinks_to_leave_room_for_the_budget():
    kept, cut = split_hard_tail(np.arange(10.0), np.arange(10), 0.5, at_least=9)
    assert cut.tolist() == [9] and len(kept) == 9
