"""A budget in tokens: as many rows as fit, none more, for nested and other strategies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadBudget, MissingInput
from core.selection import Candidates, Score, select
from core.values import Budget


def pool(tokens, seed=0):
    rng, n = np.random.default_rng(seed), len(tokens)
    return Candidates(
        n=n,
        ids=tuple(f"r{i}" for i in range(n)),
        vectors={"embedding": rng.integers(0, 3, (n, 2)).astype(np.float32)},
        scores={"el2n": Score(rng.random(n))},
        tokens=np.asarray(tokens),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=40),
    st.integers(1, 400),
    st.sampled_from(["uniform", "k_center"]),
    st.integers(0, 99),
)
def test_a_nested_order_is_cut_where_the_next_row_would_not_fit(tokens, limit, name, seed):
    candidates = pool(tokens, seed)
    picked = select(name, candidates, Budget(tokens=limit), seed=seed)
    order = select(name, candidates, candidates.n, seed=seed).rows
    fits = int(np.searchsorted(np.cumsum(candidates.tokens[order]), limit, side="right"))
    assert picked.rows.tolist() == order[:fits].tolist()
    assert picked.shortfall == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 400))
def test_another_strategy_fits_and_would_not_with_one_row_more(tokens, limit):
    candidates = pool(tokens)
    picked = select("ccs", candidates, Budget(tokens=limit), {"strata": 3})
    assert candidates.tokens[picked.rows].sum() <= limit
    if len(picked.rows) < candidates.n:
        more = select("ccs", candidates, len(picked.rows) + 1, {"strata": 3}).rows
        assert candidates.tokens[more].sum() > limit


def test_a_cut_says_of_duplicates_what_a_run_of_that_length_says():
    candidates = replace(pool([1] * 6), vectors={"embedding": np.zeros((6, 2), dtype=np.float32)})
    picked = select("k_center", candidates, Budget(tokens=3))
    assert picked.warnings == select("k_center", candidates, 3).warnings != ()


def test_pins_are_paid_from_the_same_tokens():
    candidates = replace(pool([10, 10, 10, 10]), taken=np.array([3]))
    assert select("uniform", candidates, Budget(tokens=25)).rows.tolist()[0] == 3
    assert len(select("uniform", candidates, Budget(tokens=25)).rows) == 2
    with pytest.raises(BadBudget, match="1 pinned rows have 10 tokens, more than the budget of 9"):
        select("uniform", candidates, Budget(tokens=9))


def test_pins_are_too_long_for_no_token_at_all():
    with pytest.raises(BadBudget, match="1 pinned rows have 10 tokens, more than the budget of 0"):
        select("uniform", replace(pool([10, 10]), taken=np.array([1])), Budget(tokens=0))


def test_a_cut_order_has_the_ledger_of_its_own_length():
    candidates = pool(np.arange(1, 41))
    cut = select("k_center", candidates, Budget(tokens=200))
    np.testing.assert_array_equal(
        cut.ledger.value, select("k_center", candidates, len(cut.rows)).ledger.value
    )


def test_an_empty_choice_says_why():
    candidates = replace(pool([5, 5, 5, 5, 60]), scores={"loss": Score(np.arange(5.0))})
    picked = select("top", candidates, Budget(tokens=20), {"score": "loss"})
    assert len(picked.rows) == 0
    assert picked.warnings == ("nothing is selected: the row that comes first has more than 20 tokens",)


def test_a_shortfall_is_told_in_tokens_since_no_number_of_rows_was_asked():
    t1 = np.array(["T1"] * 10 + ["T3"] * 90, dtype=object)
    categories = np.ones((100, 1), dtype=bool)
    candidates = replace(pool([10] * 100), behaviour=t1, categories=categories, category_names=("threat",))
    picked = select("sss", candidates, Budget(tokens=500), {"t1_only": True})
    assert sorted(picked.rows.tolist()) == list(range(10)) and picked.shortfall == 0
    assert picked.warnings[-1] == "only 10 rows can be taken: 400 tokens of the budget are not used"
    assert "cannot be filled" not in " ".join(picked.warnings)


def test_a_limit_below_every_row_selects_none_and_a_negative_one_is_refused():
    assert len(select("uniform", pool([10, 10]), Budget(tokens=9)).rows) == 0
    assert "nothing is selected" in select("uniform", pool([10, 10]), Budget(tokens=0)).warnings[0]
    with pytest.raises(BadBudget, match="-1"):
        select("uniform", pool([10, 10]), Budget(tokens=-1))


def test_without_token_counts_the_way_out_is_named():
    with pytest.raises(MissingInput, match="tokens"):
        select("uniform", replace(pool([1, 2]), tokens=None), Budget(tokens=2))


def test_a_quota_table_is_met_from_the_tokens_that_pay_for_it():
    candidates = replace(
        pool([5] * 12), behaviour=np.array(["T1", "T2"] * 6, dtype=object), blocked=np.zeros(12, dtype=bool)
    )
    table = {"quota": "custom", "quota_by": "behaviour", "table": {"T2": 4}, "saps": 0, "ccs": 0}
    assert len(select("blend", candidates, Budget(tokens=27), table).rows) == 5
    with pytest.raises(BadBudget, match="the quota table asks for 4 rows, more than the budget of 3"):
        select("blend", candidates, Budget(tokens=19), table)
