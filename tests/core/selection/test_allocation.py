"""Shares of a budget: the hand-computed tables of the specs, and what every rule promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection.allocation import (
    beyond,
    category_fill,
    group_rows,
    largest_remainder,
    proportional,
    take_turns,
    water_fill,
)

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=8)
RULES = {"water_fill": water_fill, "category_fill": category_fill, "proportional": proportional}


@pytest.mark.parametrize(
    ("budget", "weights", "counts"),
    [
        (10, [50, 30, 20], [5, 3, 2]),
        (5, [50, 30, 20], [3, 1, 1]),
        (7, [50, 30, 20], [4, 2, 1]),
        (3, [97, 2, 1], [3, 0, 0]),
        (3, [10, 10, 10, 10], [1, 1, 1, 0]),
        (4, [5, 3], [3, 1]),
    ],
)
def test_largest_remainder_gives_ties_to_the_lower_index(budget, weights, counts):
    assert largest_remainder(budget, weights).tolist() == counts


@pytest.mark.parametrize(
    ("sizes", "budget", "counts"),
    [
        ([4, 1, 2, 3], 6, [2, 1, 1, 2]),
        ([4, 1, 2, 3], 9, [3, 1, 2, 3]),
        ([4, 1, 2, 3], 12, [4, 1, 2, 3]),
        ([0, 0, 5, 5], 4, [0, 0, 2, 2]),
        ([5, 5, 5], 7, [2, 2, 3]),
        ([10, 0, 1], 3, [2, 0, 1]),
        ([2, 2, 2], 1, [0, 0, 1]),
        ([1, 2, 40, 8, 20], 30, [1, 2, 10, 8, 9]),
    ],
)
def test_water_fill_follows_the_table_of_ccs(sizes, budget, counts):
    assert water_fill(sizes, budget).tolist() == counts


@pytest.mark.parametrize(
    ("sizes", "budget", "counts"),
    [
        ([1, 2, 5], 6, [1, 2, 3]),
        ([1, 2, 5, 5], 10, [1, 2, 4, 3]),
        ([1, 2, 5], 5, [1, 2, 2]),
        ([3, 3, 3], 2, [1, 1, 0]),
        ([0, 4, 4], 5, [0, 3, 2]),
        ([5, 1, 2], 5, [2, 1, 2]),  # ascending size, whatever the order given
    ],
)
def test_category_fill_follows_the_cases_of_sss(sizes, budget, counts):
    assert category_fill(sizes, budget).tolist() == counts


@pytest.mark.parametrize("rule", RULES)
@given(sizes=SIZES, budget=st.integers(0, 120))
def test_every_rule_spends_the_budget_and_no_more_than_the_sizes(rule, sizes, budget):
    counts = RULES[rule](sizes, budget)
    assert counts.sum() == min(budget, sum(sizes))
    assert (counts >= 0).all() and (counts <= sizes).all()


@pytest.mark.parametrize("rule", ["water_fill", "category_fill"])
@given(sizes=SIZES, budget=st.integers(0, 120))
def test_even_rules_differ_by_one_at_most_among_groups_with_rows_left(rule, sizes, budget):
    counts = RULES[rule](sizes, budget)
    rest = counts[counts < sizes]
    assert len(rest) == 0 or (np.ptp(rest) <= 1 and rest.min() >= counts.max() - 1)


@given(sizes=SIZES, budget=st.integers(1, 120))
def test_proportional_reaches_every_group_when_it_can(sizes, budget):
    counts = proportional(sizes, budget, at_least=1)
    groups = sum(s > 0 for s in sizes)
    assert counts.sum() == min(budget, sum(sizes)) and (counts <= sizes).all()
    assert budget < groups or (counts > 0).sum() == groups


def test_proportional_passes_on_what_a_full_group_cannot_use():
    assert proportional([1, 9, 9], 9, weights=[8, 1, 1]).tolist() == [1, 4, 4]


@pytest.mark.parametrize("rule", RULES)
@given(data=st.data(), sizes=SIZES)
def test_rows_already_there_count_inside_the_shares(rule, data, sizes):
    held = [data.draw(st.integers(0, s)) for s in sizes]
    budget = data.draw(st.integers(0, sum(sizes) - sum(held)))
    added = beyond(RULES[rule], sizes, budget, held)
    assert added.sum() == budget and (added >= 0).all() and (added + held <= sizes).all()


def test_a_group_that_holds_more_than_its_share_gets_nothing():
    assert beyond(water_fill, [10, 10, 10], 4, [6, 0, 0]).tolist() == [0, 2, 2]
    assert beyond(water_fill, [10, 10, 10], 5, [1, 0, 0]).tolist() == [1, 2, 2]


def test_groups_are_ascending_and_hold_only_masked_rows():
    labels = np.array([2, -1, 2, 0, -1])
    groups = group_rows(labels, np.array([1, 1, 1, 1, 0], dtype=bool))
    assert {k: v.tolist() for k, v in groups.items()} == {-1: [1], 0: [3], 2: [0, 2]}
    assert list(groups) == [-1, 0, 2]
    assert group_rows(labels, np.zeros(5, dtype=bool)) == {}


def test_groups_take_turns_until_they_are_empty():
    rows, group = take_turns([np.array([5, 6, 7]), np.array([], dtype=int), np.array([1])])
    assert rows.tolist() == [5, 1, 6, 7] and group.tolist() == [0, 2, 0, 0]
