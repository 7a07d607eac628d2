"""Utilities by hand: ranks in [0, 1], ties shared, nothing for what is cut off or missing."""

from dataclasses import replace

import numpy as np
import pytest

from core.selection import Candidates, Score
from core.selection.boundary import BoundaryParams
from core.selection.strata import StrataParams
from core.selection.utilities import (
    TypeWorths,
    behaviour_utility,
    ccs_utility,
    has_type,
    saps_utility,
    score_utility,
    unscored,
)

X = np.array([[0], [1], [2], [3], [4], [10], [11], [12]], dtype=np.float32)
TOY = Candidates(n=8, vectors={"pca50": X}, clusters={"kmeans": np.array([0, 0, 0, 0, 0, 1, 1, 1])})


def scored(values, **more):
    values = np.asarray(values, dtype=float)
    return Candidates(n=len(values), scores={"el2n": Score(values)}, **more)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_both_ends_of_a_cluster_come_before_what_lies_between():
    # ratio scores 2/11 .1 0 1/8 2/7 | 1/8 0 .1: boundary 4, 0, 3, 1, 2 and 5, 7, 6; centre 2, 1, 3 and 6, 5
    value = saps_utility(TOY, BoundaryParams())
    np.testing.assert_allclose(value, [3 / 5, 2 / 5, 4 / 5, 1 / 5, 1, 1, 2 / 3, 1 / 3])


def test_a_score_is_its_rank_ties_share_the_mean_and_a_missing_one_is_worth_nothing():
    pool = scored([5, np.nan, 7, 5, -np.inf])
    np.testing.assert_allclose(score_utility(pool, "el2n", low=False), [2.5 / 4, 0, 1, 2.5 / 4, 0.25])
    np.testing.assert_allclose(score_utility(pool, "el2n", low=True), [2.5 / 4, 0, 0.25, 2.5 / 4, 1])
    assert unscored(pool, "el2n") == 1
    assert not score_utility(scored([np.nan, np.nan]), "el2n", low=False).any()


def test_banned_rows_have_no_rank_and_push_nobody():
    pool = scored([1, 2, 3], allowed=np.array([1, 0, 1], dtype=bool))
    np.testing.assert_allclose(score_utility(pool, "el2n", low=False), [0.5, 0, 1])
    assert unscored(scored([np.nan, 1], allowed=np.array([0, 1], dtype=bool)), "el2n") == 0


def test_rows_of_one_round_of_the_strata_share_their_mean_rank_and_the_tail_is_worth_nothing():
    value = ccs_utility(scored([0, 0, 0, 9, 9, 99]), StrataParams(strata=2, beta=0.2), rng())
    assert value[5] == 0  # the hardest fifth
    # rounds: one of 0 and one of 9, again one of each, then the last 0; ranks from the end 4.5, 2.5, 1
    np.testing.assert_allclose(sorted(value[:3]), [1 / 5, 2.5 / 5, 4.5 / 5])
    np.testing.assert_allclose(sorted(value[3:5]), [2.5 / 5, 4.5 / 5])


def test_which_row_of_a_stratum_comes_first_is_drawn_by_the_seed():
    pool = scored(np.arange(60))
    params = StrataParams(strata=3, beta=0.0)
    one, again, other = (ccs_utility(pool, params, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    np.testing.assert_array_equal(np.sort(one), np.sort(other))


def test_types_are_worth_what_their_weights_say():
    kinds = np.array(["T4", "T1", "unparsed", "T3", "T2", "not_run"], dtype=object)
    pool = Candidates(n=6, behaviour=kinds, blocked=np.arange(6) == 1)
    worth = behaviour_utility(pool, TypeWorths(t1=0.9, t2=0.5, t3=0.3, t4=0.1))
    np.testing.assert_allclose(worth, [0.1, 0.9, 0, 0.3, 0.5, 0])
    assert has_type(pool).tolist() == [True, False, False, True, True, False]
    assert has_type(replace(pool, blocked=None))[1]


@pytest.mark.parametrize("values", [np.full(7, 3.0), np.arange(7.0)])
def test_every_utility_of_a_score_lies_above_0_and_up_to_1(values):
    for low in (False, True):
        value = score_utility(scored(values), "el2n", low=low)
        assert value.min() > 0 and value.max() <= 1 and value.mean() == pytest.approx(4 / 7)
