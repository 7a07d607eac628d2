"""The door of selection: what it refuses, in which words, and what it does with pins, bans and seeds."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import BadBudget, BadInput, BrokenContract, MissingInput, UnknownName
from core.selection import STRATEGIES, Candidates, Picked, Score, generator, select
from core.selection.checks import check_result
from core.values import Reason

POOL = Candidates(n=5, ids=tuple("abcde"))
X = np.arange(10, dtype=np.float32).reshape(5, 2)


def test_a_misspelt_strategy_is_guessed():
    with pytest.raises(UnknownName, match="did you mean 'k_center'"):
        select("k_centre", POOL, 2)


def test_missing_inputs_are_named():
    with pytest.raises(MissingInput, match="cluster:kmeans: compute it first; vectors:pca50: compute"):
        select("saps", POOL, 2)
    with pytest.raises(MissingInput, match="map a column to category"):
        select("sss", POOL, 2)


def test_behaviours_that_were_never_labelled_are_missing():
    nothing = replace(POOL, behaviour=np.array(["not_run"] * 5, dtype=object))
    with pytest.raises(MissingInput, match="map harmful_request and refusal"):
        select("blend", nothing, 2, {"saps": 0, "ccs": 0})


def test_an_impossible_budget_names_the_eligible_rows():
    with pytest.raises(BadBudget, match="only 5 rows are eligible"):
        select("uniform", POOL, 6)
    with pytest.raises(BadBudget, match="a budget of -1 rows was asked; give 0 to 5"):
        select("uniform", POOL, -1)


def test_a_budget_of_zero_selects_nothing_and_says_so():
    picked = select("k_center", POOL, 0)
    assert picked.rows.tolist() == [] and picked.shortfall == 0
    assert "nothing is selected" in picked.warnings[0]


def test_an_empty_pool_takes_only_the_empty_budget():
    assert len(select("uniform", Candidates(n=0), 0).rows) == 0
    with pytest.raises(BadBudget, match="only 0 rows"):
        select("uniform", Candidates(n=0), 1)


def test_settings_out_of_bounds_or_unknown_are_told_by_name():
    with pytest.raises(BadInput, match=r"beta = 0\.9 cannot be used .*less than or equal to 0\.5"):
        select("ccs", POOL, 2, {"beta": 0.9})
    with pytest.raises(BadInput, match="has no setting 'cutoff'; its settings are: score, strata, beta"):
        select("ccs", POOL, 2, {"cutoff": 0.1})


def test_a_missing_score_is_an_error_never_a_rank():
    scores = {"el2n": Score(np.array([0, 1, np.nan, 3, 4.0]))}
    with pytest.raises(BadInput, match=r"missing \(NaN\) for 1 of 5 eligible rows"):
        select("ccs", replace(POOL, scores=scores), 2)
    allowed = np.array([1, 1, 0, 1, 1], dtype=bool)
    assert 2 not in select("ccs", replace(POOL, scores=scores, allowed=allowed), 2, {"strata": 2}).rows


def test_vectors_with_nan_are_refused():
    broken = X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(BadInput, match="vectors 'embedding' hold NaN"):
        select("k_center", replace(POOL, vectors={"embedding": broken}), 2)


def test_more_pins_than_budget_is_an_error():
    with pytest.raises(BadBudget, match="3 rows are pinned, more than the budget of 2"):
        select("uniform", replace(POOL, taken=np.array([0, 1, 2])), 2)


@pytest.mark.parametrize(
    ("taken", "words"),
    [([0, 0], "pinned twice"), ([5], "outside the 5"), ([1], "row b is both pinned and banned")],
)
def test_pins_that_cannot_be_are_refused(taken, words):
    allowed = np.array([1, 0, 1, 1, 1], dtype=bool)
    with pytest.raises(BadInput, match=words):
        select("uniform", replace(POOL, taken=np.array(taken), allowed=allowed), 3)


def test_bans_that_leave_too_few_rows_give_a_stated_shortfall():
    picked = select("uniform", replace(POOL, allowed=np.array([1, 0, 0, 1, 1], dtype=bool)), 5)
    assert sorted(picked.rows.tolist()) == [0, 3, 4] and picked.shortfall == 2
    assert "2 of 5 eligible rows are banned: 2 rows of the budget cannot be filled" in picked.warnings[0]


def test_pins_alone_can_be_the_selection():
    picked = select("k_center", replace(POOL, vectors={"embedding": X}, taken=np.array([4, 1])), 2)
    assert picked.rows.tolist() == [4, 1]


@pytest.mark.parametrize(
    "rows", [[0, 0], [0, 5], [-1, 0], [0], [0, 3], np.array([0.0, 1.0]), np.array([[0], [1]])]
)
def test_a_broken_promise_of_a_strategy_is_our_bug(rows):
    picked = Picked(np.asarray(rows), [Reason()] * len(rows))
    with pytest.raises(BrokenContract, match="must add 2 distinct free rows"):
        check_result("broken", replace(POOL, taken=np.array([3])), 2, picked)


def test_arrays_of_different_length_are_our_bug():
    with pytest.raises(BrokenContract, match="candidates have 5 rows"):
        replace(POOL, vectors={"embedding": X[:4]})


def test_seed_and_strategy_name_both_decide_the_generator():
    draws = {generator(s, n).integers(2**60) for s in (0, 1, -1) for n in ("uniform", "ccs")}
    assert len(draws) == 6
    assert generator(0, "ccs").integers(2**60) == generator(0, "ccs").integers(2**60)
    assert type(generator(0, "ccs").bit_generator).__name__ == "PCG64"


def test_only_saps_calls_itself_a_reconstruction():
    assert {n for n in STRATEGIES if STRATEGIES[n].label} == {"saps"}
    assert "reconstruction" in STRATEGIES["saps"].title


def test_candidates_forget_what_was_not_asked_for_longest():
    made = []
    candidates = replace(POOL)
    for key in [*range(64), 0, 64, 0, 1]:
        candidates.once(key, lambda key=key: made.append(key) or [key])
    assert made == [*range(65), 1], "0 was asked for again and kept; 1 was the oldest when 64 came"
