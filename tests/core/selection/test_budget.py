"""Budgets: half rounds up with an exact percentage, where others truncate (selection 5.1)."""

import pytest

from core.values import Budget


@pytest.mark.parametrize(
    ("percent", "eligible", "rows"),
    [
        (29, 100, 29),  # float truncation gives 28
        (57, 100, 57),  # float truncation gives 56
        (50, 5, 3),  # half to even gives 2
        (30, 24576, 7373),  # truncation gives 7372
        (0.5, 20_000, 100),
        (0.05, 20_000, 10),
        (0.001, 10, 1),  # clamped to at least one row
        (100, 7, 7),
        (250, 7, 7),  # and to at most all of them
        (0, 100, 0),
        (10, 0, 0),
    ],
)
def test_percentages_round_half_up_exactly(percent, eligible, rows):
    assert Budget(percent=percent).count(eligible) == rows


def test_a_number_of_rows_is_taken_as_it_is():
    assert Budget(rows=6).count(5) == 6  # select() refuses it, with the number of eligible rows


def test_a_negative_percentage_stays_negative_so_that_selection_refuses_it():
    assert Budget(percent=-1).count(100) < 0
