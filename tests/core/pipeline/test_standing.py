"""A row's standing says what the ledger knows: group, rank, threshold, odds; never more than that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pipeline.standing import apart, ordinal, rounded, standing
from core.selection import Candidates, Ledger, Picked, Reasons, Reference, Score, select

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


def placed(strategy, budget, row, params=None, seed=0, **pool):
    """The row's standing in a real choice."""
    candidates = Candidates(**pool)
    found = select(strategy, candidates, budget, params, seed)
    return standing(found, candidates, found.ledger, row)


def scored(values, pins=()):
    scores = np.asarray(values, dtype=np.float64)
    return {"n": len(scores), "scores": {"s": Score(scores)}, "taken": np.array(pins, dtype=np.int64)}


@pytest.mark.parametrize(("pin", "row"), [(0.1, 2), (0.55, 2), (0.55, 4)])
def test_a_pin_draws_no_line_and_is_no_rival(pin, row):
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, pin]
    found = placed("top", 3, row, {"score": "s"}, **scored(scores, [5]))
    assert found.counted == "2 of 5 rows were taken and 1 pinned"
    assert found.verdict == (f"{scores[row]} ranks {ordinal(row + 1)} of 5, the last one taken has 0.8")


def test_the_odds_of_a_draw_are_those_of_the_rows_that_were_not_pinned():
    found = placed("uniform", 50, 99, n=100, taken=np.arange(40))
    assert found.counted == "10 of 60 rows were taken and 40 pinned"
    assert found.odds == "; the taken ones were drawn at random, a chance of 16.7 %"


def test_a_stratum_that_its_pins_fill_has_no_odds():
    scores = np.repeat([0.0, 1.0], 20)
    params = {"score": "s", "strata": 2, "beta": 0.0}
    full = placed("ccs", 14, 15, params, **scored(scores, range(8)))
    assert full.counted == "In stratum 0, none of 12 rows was taken: its 8 pinned rows fill its share"
    assert full.odds == ""
    other = placed("ccs", 14, 39, params, **scored(scores, range(8)))
    assert other.counted + other.odds == (
        "In stratum 1, 6 of 20 rows were taken, drawn at random, a chance of 30 %"
    )


def test_pins_alone_fill_a_budget_without_groups():
    found = placed("uniform", 3, 9, n=10, taken=np.arange(3))
    assert found.counted == "None of 7 rows was taken: the 3 pinned rows fill the budget"


def test_the_sign_is_that_of_the_first_rows_with_a_score_however_many_pins_come_first():
    values = np.arange(1.0, 41.0)
    candidates = Candidates(n=40, taken=np.arange(15, 40))
    reasons = (*Reasons(25, "pin"), *Reasons(2, "best", score=values[:2]))
    both = Picked(np.concatenate([candidates.taken, [0, 1]]), reasons)
    found = standing(both, candidates, Ledger(value=-values, value_name="loss"), 2)
    assert found.verdict == "3 ranks 3rd of 15, the last one taken has 2"


@pytest.mark.parametrize("row", [1, 2, 3])
def test_k_center_puts_a_copy_of_a_chosen_row_last_in_line(row):
    x = np.array([[0.0], [0.0], [1.0], [2.0], [4.0], [8.0]])
    params = {"start": "index", "index": 0}
    found = placed("k_center", 3, row, params, n=6, vectors={"embedding": x})
    assert found.verdict == (f"{[0, 1, 2][row - 1]} is now {ordinal(4 - row)} of the 3 rows not taken")
    taken = placed("k_center", 3, 4, params, n=6, vectors={"embedding": x})
    assert taken.value is None  # its distance when it was taken is in its reason; the one now is 0


@given(st.integers(2, 9), st.integers(0, 99))
def test_herding_ranks_a_row_among_those_not_taken_and_compares_it_with_no_chosen_one(budget, seed):
    x = np.random.default_rng(seed).normal(size=(12, 3)).round(1)
    candidates = Candidates(n=12, vectors={"embedding": x})
    found = select("herding", candidates, budget)
    left = sorted(set(range(12)) - set(found.rows.tolist()))
    ahead = found.ledger.value[left]
    for row in left:
        place = ordinal(1 + int((ahead > found.ledger.value[row]).sum()))
        said = standing(found, candidates, found.ledger, row).verdict
        assert said.endswith(f"is now {place} of the {len(left)} rows not taken")


def harms(*columns, n=6):
    """Rows of two harm categories."""
    table = np.zeros((n, 2), dtype=bool)
    for place, rows in enumerate(columns):
        table[list(rows), place] = True
    return {"n": n, "category_names": ("A", "B"), "categories": table}


@pytest.mark.parametrize("strategy", ["stratified", "sss"])
def test_categories_that_share_rows_are_told_without_odds(strategy):
    found = placed(
        strategy, 2, 5, n=8, **{k: v for k, v in harms(range(6), (0, 6, 7), n=8).items() if k != "n"}
    )
    assert found.counted.startswith("In category A, ")
    assert "of the 5 rows that count for it" in found.counted
    assert found.odds in ("", ", drawn at random")


@pytest.mark.parametrize("strategy", ["stratified", "sss"])
def test_categories_that_share_no_row_keep_their_odds(strategy):
    found = placed(strategy, 4, 1, **harms((0, 1, 2), (3, 4, 5)))
    assert found.counted + found.odds == (
        "In category A, 2 of 3 rows were taken, drawn at random, a chance of 66.7 %"
    )


def test_strata_of_clusters_keep_their_odds_where_categories_share_rows():
    pool = harms(range(6), range(6)) | {"clusters": {"kmeans": np.repeat([0, 1], 3)}}
    found = placed("stratified", 4, 1, {"label": "kmeans"}, **pool)
    assert found.odds == ", drawn at random, a chance of 66.7 %"


@pytest.mark.parametrize("strategy", ["pss", "cossim"])
def test_counts_of_a_category_by_likeness_are_of_the_rows_that_count_for_it(strategy):
    x = np.random.default_rng(0).normal(size=(6, 3))
    pool = harms((0, 1, 2, 3), (3, 4, 5))
    space = {"pss": "embedding@prompt", "cossim": "embedding@prompt+response"}[strategy]
    pool |= {"vectors": {space: x}}
    if strategy == "cossim":  # any row may be drawn for any category, whatever its labels
        pool = pool | harms((0, 1, 2), (3, 4, 5))
        only = np.array([[True, False], [False, True]])
        pool |= {"references": {space: Reference(x[[0, 5]], ("a", "b"), ("A", "B"), only)}}
    candidates = Candidates(**pool)
    found = select(strategy, candidates, 2)
    row = next(r for r in range(6) if r not in found.rows)
    said = standing(found, candidates, found.ledger, row).counted
    assert "rows that count for it w" in said
