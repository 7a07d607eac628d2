"""Splits go by group, by rank and by seed alone."""

import pytest

from core.errors import BadInput
from core.pool.splits import assign_splits, check_fractions, split_sizes, text_group


@pytest.mark.parametrize(
    ("groups", "sizes"), [(1, [1, 0, 0]), (4, [3, 0, 1]), (5, [4, 0, 1]), (10, [8, 1, 1]), (0, [0, 0, 0])]
)
def test_sizes_by_largest_remainder_favour_train_then_test(groups, sizes):
    assert split_sizes(groups, (0.8, 0.1, 0.1)) == sizes


def test_sizes_are_exact_for_any_number_of_groups():
    for groups in range(300):
        sizes = split_sizes(groups, (0.7, 0.2, 0.1))
        assert sum(sizes) == groups
        assert all(abs(s - f * groups) < 1 for s, f in zip(sizes, (0.7, 0.2, 0.1), strict=True))


def test_everything_can_be_held_out():
    assert set(assign_splits(["a", "b", "c"], 0, (0, 0, 1))) == {"test"}


def test_neither_the_order_nor_the_repetition_of_rows_moves_a_group():
    groups = [f"g{i}" for i in range(50)]
    first = dict(zip(groups, assign_splits(groups, 3, (0.6, 0.2, 0.2)), strict=True))
    again = groups[::-1] + groups
    assert all(first[g] == s for g, s in zip(again, assign_splits(again, 3, (0.6, 0.2, 0.2)), strict=True))


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.8, 0.3, 0.1), (1.2, -0.1, -0.1)])
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(BadInput, match="sum to 1"):
        split_sizes(10, fractions)


def test_the_text_decides_only_where_the_prompt_is_empty():
    assert text_group("A  b", "x") == text_group("a B", "y")
    assert text_group("", "x") != text_group(" ", "y")


@pytest.mark.parametrize("share", [float("nan"), float("inf")])
def test_a_share_that_is_no_number_is_a_sentence(share):
    with pytest.raises(BadInput, match="cannot be used"):
        check_fractions((share, 0.0, 1.0))
