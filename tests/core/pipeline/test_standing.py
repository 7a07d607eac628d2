"""A row's standing says what the ledger knows: group, rank, threshold, odds; never more than that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pipeline.standing import apart, ordinal, rounded, standing
from core.selection import Candidates, Ledger, Picked, Reasons

VALUES = np.array([0.9, 0.8, 0.8, 0.5, 0.2, 0.7, np.nan, 0.1])
GROUPS = np.array([0, 0, 0, 0, 0, 1, 1, -1])
ALL = Candidates(n=8)


def picked(*rows, roles="best", scores=None, **more):
    return Picked(np.array(rows, dtype=np.int64), Reasons(len(rows), roles, score=scores), **more)


def ledger(**more):
    given = {"group": GROUPS, "group_kind": "cluster", "value": VALUES, "value_name": "boundary score"}
    return Ledger(**{**given, **more})


def test_a_row_below_the_line_is_told_its_rank_and_the_line():
    found = standing(picked(0, 1), ALL, ledger(), 3)
    assert found.counted == "In cluster 0, 2 of 5 rows were taken"
    assert found.verdict == "0.5 ranks 4th of 5, the last one taken has 0.8"
    assert (found.rank, found.value) == (4, 0.5)


def test_equal_rows_are_not_told_that_they_were_worse():
    found = standing(picked(0, 1), ALL, ledger(), 2)
    assert (
        found.verdict
        == "0.8 ranks 2nd of 5, level with the last one taken: equal rows go in the pool's order"
    )


def test_banned_rows_copies_and_rows_out_of_the_race_are_no_rivals():
    stands_for = np.full(8, -1)
    stands_for[1] = 0
    out = np.zeros(8, dtype=bool)
    out[2] = True
    allowed = np.ones(8, dtype=bool)
    allowed[4] = False
    found = standing(picked(0, stands_for=stands_for), Candidates(n=8, allowed=allowed), ledger(out=out), 3)
    assert found.counted == "In cluster 0, 1 of 2 rows was taken"
    assert found.verdict == "0.5 ranks 2nd of 2, the last one taken has 0.9"


def test_without_groups_all_rows_compete():
    found = standing(picked(0, 1), ALL, ledger(group=None), 5)
    assert found.counted == "2 of 8 rows were taken"
    assert found.verdict == "0.7 ranks 4th of 8, the last one taken has 0.8"


def test_rows_of_no_group_compete_with_each_other_and_named_groups_are_named():
    assert standing(picked(0), ALL, ledger(), 7).counted == (
        "Among the rows without a cluster, none of 1 rows was taken"
    )
    noise = ledger(group_names={-1: "noise", 1: "fraud, theft"})
    assert standing(picked(7), ALL, noise, 7).counted == "In cluster noise, 1 of 1 rows was taken"
    assert standing(picked(5), ALL, noise, 5).counted == "In cluster fraud, theft, 1 of 2 rows was taken"


def test_a_draw_is_told_with_its_odds_and_no_value():
    found = standing(picked(0, 1), ALL, ledger(at_random=True), 3)
    assert found.odds == ", drawn at random, a chance of 40 %"
    assert standing(picked(*range(5)), ALL, ledger(at_random=True), 3).odds == ""
    assert found.value is None and not found.verdict


def test_a_row_without_the_value_is_told_so():
    found = standing(picked(5), ALL, ledger(), 6)
    assert found.missing and not found.verdict


def test_a_group_from_which_nothing_was_taken_draws_no_line():
    found = standing(picked(5), ALL, ledger(), 3)
    assert found.counted == "In cluster 0, none of 5 rows was taken"
    assert found.verdict == "0.5 ranks 4th of 5"


def test_a_row_between_the_two_ends_that_were_taken_is_told_both():
    both = picked(0, 4, roles=np.array(["boundary", "centre"]))
    assert standing(both, ALL, ledger(), 3).verdict == (
        "0.5 lies between the rows taken as centre (up to 0.2) and those taken as boundary (from 0.9)"
    )
    across = picked(0, 4, 5, roles=np.array(["boundary", "boundary", "centre"]))
    assert "between" not in standing(across, ALL, ledger(group=None), 3).verdict
    one = picked(0, 4)
    assert (
        standing(one, ALL, ledger(), 3).verdict
        == "0.5 ranks 4th of 5, but this value is not all that decides"
    )


def test_what_is_spent_by_being_taken_ranks_among_the_rows_left():
    distance = np.array([0.0, 0.0, 0.4, 0.6, 0.1, np.nan, 0.5, 0.3])
    spent = ledger(group=None, value=distance, value_name="distance to the nearest chosen row")
    assert standing(picked(0, 1), ALL, spent, 6).verdict == "0.5 is now 2nd of the 6 rows not taken"
    assert standing(picked(0, 1), ALL, spent, 4).verdict == "0.1 is now 5th of the 6 rows not taken"


def test_a_score_whose_low_end_is_taken_is_shown_as_people_know_it():
    low_first = ledger(group=None, value=-VALUES, value_name="loss")
    found = standing(picked(7, 4, scores=VALUES[[7, 4]]), ALL, low_first, 3)
    assert found.value == 0.5
    assert found.verdict == "0.5 ranks 3rd of 8, the last one taken has 0.2"


def test_a_value_named_as_a_minus_is_shown_without_it():
    minus = ledger(group=None, value=-VALUES, value_name="minus the distance to the centroid")
    found = standing(picked(7), ALL, minus, 3)
    assert (found.name, found.value) == ("distance to the centroid", 0.5)
    assert found.verdict == "0.5 ranks 3rd of 8, the last one taken has 0.1"


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=12), st.data())
def test_the_rank_is_what_sorting_gives(values, data):
    n = len(values)
    order = sorted(range(n), key=lambda row: (-values[row], row))
    budget = data.draw(st.integers(1, n - 1))
    lost = data.draw(st.sampled_from(order[budget:]))
    found = standing(picked(*order[:budget]), Candidates(n=n), Ledger(value=np.array(values)), lost)
    assert found.rank == sum(v > values[lost] for v in values) + 1
    assert found.counted.startswith(f"{budget} of {n} rows")
    last = values[order[budget - 1]]
    assert ("level" in found.verdict) == (values[lost] == last)
    assert ("the last one taken" in found.verdict) or values[lost] > last


@pytest.mark.parametrize(
    ("count", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th"), (1021, "1,021st")],
)
def test_ordinals(count, word):
    assert ordinal(count) == word


def test_numbers_are_short_and_tell_what_differs():
    assert [rounded(v) for v in (0.123456, 12.0, 1234.5, -3354.2)] == ["0.123", "12", "1,234", "-3,354"]
    assert apart(0.52, 0.31) == ("0.52", "0.31")
    assert apart(0.52004, 0.52001) == ("0.52004", "0.52001")
