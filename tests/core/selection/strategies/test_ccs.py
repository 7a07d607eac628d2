"""CCS: the hardest tail is never taken, difficulty is covered evenly, nothing gets lost (selection 7)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.selection import Candidates, Score, select
from core.selection.allocation import beyond, water_fill
from core.selection.strata import stratum_of

HARDNESS = np.arange(100, dtype=float)  # row i has score i
TOY = np.array([-0.9, -0.5, 0, 0.1, 0.1, 0.2, 0.55, 0.6, 0.95, 1.0])


def pool_of(scores, higher_is="harder", **more):
    scores = np.asarray(scores, dtype=float)
    return Candidates(n=len(scores), scores={"el2n": Score(scores, higher_is)}, **more)


def run(scores, budget, higher_is="harder", seed=0, **asked):
    return select("ccs", pool_of(scores, higher_is), budget, asked, seed=seed)


def bins(picked):
    return np.bincount([r.bin for r in picked.reasons], minlength=4).tolist()


def test_never_takes_the_hardest_tail():
    for seed in range(5):
        assert HARDNESS[run(HARDNESS, 20, beta=0.3, strata=7, seed=seed).rows].max() < 70


def test_the_hard_tail_is_at_the_other_end_where_high_is_easy():
    assert HARDNESS[run(HARDNESS, 20, "easier", beta=0.3, strata=7).rows].min() >= 30


def test_takes_the_same_number_from_every_stratum():
    picked = run(HARDNESS, 20, beta=0.0, strata=10)
    assert np.bincount((HARDNESS[picked.rows] // 9.9).astype(int).clip(max=9)).tolist() == [2] * 10
    assert [r.bin for r in picked.reasons[:10]] == list(range(10))  # strata take turns: prefixes are even too


def test_what_a_small_stratum_cannot_use_passes_to_the_others():
    picked = run([0, 0] + [10] * 50, 12, beta=0.0, strata=2)
    assert {0, 1} <= set(picked.rows.tolist()) and len(picked.rows) == 12


def test_toy_from_end_to_end():
    for seed in range(5):
        picked = run(TOY, 5, "easier", beta=0.2, strata=4, seed=seed)
        assert bins(picked) == [2, 0, 1, 2]
        assert {8, 9} < set(picked.rows.tolist()) and not {0, 1} & set(picked.rows.tolist())
        assert picked.warnings == ()
    assert [r.score for r in picked.reasons] == TOY[picked.rows].tolist()


def test_a_large_budget_lowers_beta_instead_of_falling_short():
    picked = run(TOY, 9, "easier", beta=0.2, strata=4)
    assert sorted(picked.rows.tolist()) == list(range(1, 10))
    assert any("beta was lowered from 0.2 to 0.1" in w for w in picked.warnings)


def test_a_lowered_beta_is_noticed_where_floating_point_would_miss_it():
    assert any("beta was lowered" in w for w in run(HARDNESS, 72, beta=0.29, strata=4).warnings)


@pytest.mark.parametrize("constant", [0.0, -3.0, 5.0])
def test_constant_scores_are_one_stratum_drawn_at_random(constant):
    chosen = {tuple(run([constant] * 20, 5, beta=0.0, strata=4, seed=s).rows) for s in range(10)}
    assert len(chosen) > 5 and all(len(rows) == 5 for rows in chosen)


@pytest.mark.parametrize("scores", [(-3, -2, -1), (-5, -2, 0)])
def test_no_row_is_lost_where_all_scores_are_negative_or_zero(scores):
    assert sorted(run(scores, 3, beta=0.0, strata=3).rows.tolist()) == [0, 1, 2]


def test_infinite_scores_are_refused():
    with pytest.raises(BadInput, match="infinite for 1 rows"):
        run([0, 1, np.inf], 1)


def test_quantile_strata_reach_everywhere_in_spite_of_an_outlier():
    scores = [*range(99), 10_000]
    picked = run(scores, 10, beta=0.0, strata=10, binning="quantile")
    assert sorted(r.bin for r in picked.reasons) == list(range(10))


def test_strata_without_a_row_and_too_many_strata_are_said():
    words = " ".join(run([0, 1, 2, 3], 2, beta=0.0).warnings)
    assert "4 strata instead of 50" in words and "too small for 2 of 4 strata" in words


def test_pins_count_for_their_stratum():
    pool = pool_of(HARDNESS, taken=np.array([0, 1, 2, 3, 4]))
    picked = select("ccs", pool, 10, {"beta": 0.0, "strata": 2})
    assert (HARDNESS[picked.rows] >= 49.5).sum() == 5


def test_draws_inside_a_stratum_at_random():
    assert len({tuple(run(HARDNESS, 10, seed=s).rows) for s in range(10)}) > 5


@settings(max_examples=150, deadline=None)
@given(data=st.data(), beta=st.sampled_from([0.0, 0.2, 0.5]), strata=st.integers(1, 6))
def test_every_stratum_gets_its_water_filled_share_of_the_kept_rows(data, beta, strata):
    n = data.draw(st.integers(1, 40))
    score = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype=float)
    pins = data.draw(st.lists(st.integers(0, n - 1), max_size=3, unique=True))
    budget = data.draw(st.integers(max(len(pins), 1), n))
    picked = select(
        "ccs", pool_of(score, taken=np.array(pins, dtype=int)), budget, {"beta": beta, "strata": strata}
    )
    cut = min(int(beta * n), n - budget)
    hardest = sorted(range(n), key=lambda r: (-score[r], r))[:cut]
    kept = np.setdiff1d(np.arange(n), hardest)
    of = stratum_of(score[kept], min(strata, len(kept)))
    open_pins = np.isin(kept, pins)
    sizes, held = np.bincount(of), np.bincount(of[open_pins], minlength=of.max() + 1)
    added = picked.rows[len(pins) :]
    assert not set(added.tolist()) & set(hardest)
    got = np.bincount(of[np.searchsorted(kept, added)], minlength=len(sizes))
    assert got.tolist() == beyond(water_fill, sizes, budget - len(pins), held).tolist()
    bins = [r.bin for r in picked.reasons[len(pins) :]]
    assert bins == of[np.searchsorted(kept, added)].tolist()
    turn = [bins[:i].count(b) for i, b in enumerate(bins)]
    assert turn == sorted(turn)  # strata take turns


def test_the_ledger_says_which_stratum_and_who_was_cut():
    ledger = run(TOY, 5, "easier", beta=0.2, strata=4).ledger
    assert ledger.out.nonzero()[0].tolist() == [0, 1] and "hardest 20 %" in ledger.out_reason
    assert ledger.group.tolist() == [-1, -1, 0, 0, 0, 0, 2, 2, 3, 3]
    assert ledger.at_random and ledger.value is None
