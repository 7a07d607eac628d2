"""What samplers of harm categories share: who is in the pool, whose turn it is, what is said."""

import numpy as np

from core.selection import Candidates
from core.selection.harm_categories import Harms, listed, rarest_first, safety_pool, thin_warning

POOL = Candidates(
    n=6,
    category_names=("A", "B", "C"),
    categories=np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=bool),
    behaviour=np.array(["T1", "T1", "T2", "T1", "unparsed", "T3"], dtype=object),
    blocked=np.array([0, 0, 0, 0, 0, 1], dtype=bool),
    allowed=np.array([1, 1, 1, 1, 1, 1], dtype=bool),
)


def test_blocked_unparsed_and_banned_rows_are_not_in_the_pool():
    assert np.flatnonzero(safety_pool(POOL)).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(safety_pool(POOL, t1_only=True)).tolist() == [0, 1, 3]


def test_rarest_first_ties_by_first_appearance_empty_ones_left_out():
    members = [np.array([3, 4]), np.array([], dtype=int), np.array([1, 5]), np.array([9])]
    assert rarest_first(members) == [3, 2, 0]


def test_a_row_counts_for_its_rarest_category():
    harms = Harms.of(POOL, t1_only=False)
    assert harms.columns.tolist() == [1, 0]  # B has 2 rows, A has 3, C none that may be taken
    assert harms.number(harms.first).tolist() == [0, 1, 1, -1, -1, -1]
    assert harms.held(np.array([1, 3, 0])).tolist() == [1, 1]


def test_long_lists_are_cut_in_words():
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(10)]).endswith("7, and 2 more")


def test_categories_below_an_equal_share_are_said_with_what_they_have():
    assert thin_warning("categories", ["X", "Y"], [3, 9], 7) == (
        "an equal share is 7 rows, and 1 categories have fewer: X has 3",
    )
    assert thin_warning("categories", ["X", "Y"], [7, 9], 7) == ()
