"""Top: either end of any score, what is skipped there, rows without a score, infinities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.selection import STRATEGIES, Candidates, Score, select


def pool_of(scores, higher_is="harder", **more):
    scores = np.asarray(scores, dtype=float)
    return Candidates(n=len(scores), scores={"el2n": Score(scores, higher_is)}, **more)


def run(scores, budget, higher_is="harder", pool=None, **given):
    return select("top", pool or pool_of(scores, higher_is), budget, {"score": "el2n", **given})


VALUES = [3.0, 1.0, 9.0, 9.0, 5.0]


def test_takes_the_highest_or_the_lowest_first_ties_to_the_lower_row():
    assert run(VALUES, 4, end="highest").rows.tolist() == [2, 3, 4, 0]
    assert run(VALUES, 4, end="lowest").rows.tolist() == [1, 0, 4, 2]
    assert [r.score for r in run(VALUES, 2, end="lowest").reasons] == [1.0, 3.0]


def test_the_hardest_end_is_the_low_one_where_high_is_easy():
    assert run(VALUES, 2).rows.tolist() == [2, 3]
    assert run(VALUES, 2, "higher is easier").rows.tolist() == [1, 0]
    assert run(VALUES, 2, "higher is easier", end="highest").rows.tolist() == [2, 3]


def test_drop_top_skips_a_share_of_the_pool_whatever_the_budget():
    scores = np.arange(100.0)
    assert run(scores, 3, drop_top=0.1).rows.tolist() == [89, 88, 87]
    assert run(scores, 50, drop_top=0.29, end="lowest").rows.tolist() == list(range(29, 79))


def test_skipped_rows_come_back_the_least_extreme_first_when_nothing_else_is_left():
    picked = run(np.arange(10.0), 9, drop_top=0.3)
    assert picked.rows.tolist() == [6, 5, 4, 3, 2, 1, 0, 7, 8]
    assert [r.role for r in picked.reasons[-2:]] == ["skipped"] * 2
    assert "only 1 of the 3 rows" in picked.warnings[0]


def test_a_missing_score_is_refused_or_ranked_last_with_a_warning():
    scores = [2.0, math.nan, 7.0]
    with pytest.raises(BadInput, match="missing \\(NaN\\) for 1 of 3"):
        run(scores, 1)
    assert run(scores, 2, missing="last").warnings == ()
    picked = run(scores, 3, missing="last")
    assert picked.rows.tolist() == [2, 0, 1]
    assert picked.reasons[2].role == "unscored" and picked.reasons[2].score is None
    assert "1 chosen rows have no el2n" in picked.warnings[0]


def test_an_optional_need_is_declared_only_when_rows_may_lack_the_score():
    spec = STRATEGIES["top"]
    assert spec.needs(spec.params(score="ifd")) == ("score:ifd",)
    assert spec.needs(spec.params(score="ifd", missing="last")) == ("score:ifd?",)


def test_infinite_scores_have_a_rank_but_are_not_written_down():
    picked = run([1.0, math.inf, -math.inf, 4.0], 4, end="highest")
    assert picked.rows.tolist() == [1, 3, 0, 2]
    assert [r.score for r in picked.reasons] == [None, 4.0, 1.0, None]


def test_a_pin_inside_the_skipped_share_stays_and_frees_no_place():
    picked = run([], 3, pool=pool_of(np.arange(10.0), taken=np.array([9])), drop_top=0.2)
    assert picked.rows.tolist() == [9, 7, 6]


def test_the_ledger_knows_rank_and_what_was_skipped():
    ledger = run([*np.arange(10.0), math.nan], 3, end="lowest", drop_top=0.2, missing="last").ledger
    assert np.argsort(-ledger.value[:10]).tolist() == list(range(10))
    assert np.flatnonzero(ledger.out).tolist() == [0, 1, 10]
    assert "lowest 20 % by el2n" in ledger.out_reason and "has no el2n" in ledger.out_reason


@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.0, math.inf, -math.inf, math.nan]), min_size=1, max_size=25),
    st.sampled_from([0.0, 0.1, 0.29, 0.3]),
    st.sampled_from(["highest", "lowest", "hardest"]),
    st.data(),
)
def test_is_a_plain_sort_with_the_skipped_and_the_unscored_moved_back(scores, drop, end, data):
    budget = data.draw(st.integers(1, len(scores)))
    sign = -1 if end == "lowest" else 1
    scored = sorted((-sign * s, i) for i, s in enumerate(scores) if not math.isnan(s))
    cut = int(round(drop * 100) * len(scored) // 100)
    order = [i for _, i in scored[cut:]] + [i for _, i in scored[:cut]][::-1]
    order += [i for i, s in enumerate(scores) if math.isnan(s)]
    picked = run(scores, budget, end=end, drop_top=drop, missing="last")
    assert picked.rows.tolist() == order[:budget]
