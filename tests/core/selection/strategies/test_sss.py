"""SSS and SSS-B: the reference cases of behaviour-and-prism 2.8, shortfalls, rows never taken."""

from dataclasses import replace

import numpy as np
import pytest

from core.selection import Candidates, select

CATS = ["A", "A", "A", "A", "AB", "B", "B", "C", "C", "C", "D", "D"]
TYPES = ["T1", "T1", "T1", "T2", "T1", "T1", "T2", "T2", "T1", "T4", "T2", "T3"]
F1 = Candidates(
    n=12,
    category_names=tuple("ABCD"),
    categories=np.array([[name in row for name in "ABCD"] for row in CATS]),
    behaviour=np.array(TYPES, dtype=object),
    blocked=np.zeros(12, dtype=bool),
)
FILLS = ["water_fill", "paper"]


def run(budget, pool=F1, seed=0, **given):
    return select("sss", pool, budget, given, seed=seed)


def per_category(picked):
    return {c: sum(r.category == c for r in picked.reasons) for c in "ABCD"}


@pytest.mark.parametrize("fill", FILLS)
def test_all_t1_rows_whatever_the_seed(fill):
    for seed in range(5):
        assert set(run(6, t1_only=True, fill=fill, seed=seed).rows) == {0, 1, 2, 4, 5, 8}


@pytest.mark.parametrize("fill", FILLS)
def test_the_only_t1_row_of_a_category_is_always_in(fill):
    for seed in range(10):
        picked = run(5, t1_only=True, fill=fill, seed=seed)
        assert 8 in picked.rows and len(picked.rows) == 5
        assert {TYPES[r] for r in picked.rows} == {"T1"}


@pytest.mark.parametrize("fill", FILLS)
def test_too_few_t1_rows_fall_short_and_never_spill_into_other_types(fill):
    picked = run(7, t1_only=True, fill=fill)
    assert len(picked.rows) == 6 and picked.shortfall == 1
    assert {TYPES[r] for r in picked.rows} == {"T1"}
    assert any("1 rows of the budget cannot be filled: only 6 T1 rows" in w for w in picked.warnings)


@pytest.mark.parametrize("fill", FILLS)
def test_rarest_category_first_ties_by_first_appearance(fill):
    for seed in range(5):
        picked = run(8, fill=fill, seed=seed)
        assert per_category(picked) == {"A": 2, "B": 2, "C": 2, "D": 2}
        assert {10, 11} < set(picked.rows.tolist())
        assert [r.category for r in picked.reasons] == list("DDBBCCAA")


def test_fewer_rows_than_categories_is_plain_random_in_the_paper_form():
    hits = [bool({10, 11} & set(run(3, fill="paper", seed=s).rows.tolist())) for s in range(600)]
    assert np.mean(hits) == pytest.approx(0.4545, abs=4 * np.sqrt(0.4545 * 0.5455 / 600))
    picked = run(3, fill="paper")
    assert {r.role for r in picked.reasons} == {"spill"}
    assert "stratification is inactive" in picked.warnings[0]


def test_fewer_rows_than_categories_go_one_each_to_the_rarest_in_ours():
    picked = run(3)
    assert [r.category for r in picked.reasons] == ["D", "B", "C"]
    assert "rarest categories get one row each" in picked.warnings[0]


def test_a_row_of_two_categories_counts_once_for_the_one_that_drew_it():
    both = replace(F1, categories=np.ones((12, 4), dtype=bool))
    for fill in FILLS:
        picked = run(12, pool=both, fill=fill)
        assert sorted(picked.rows.tolist()) == list(range(12))


def test_what_overlap_takes_from_one_category_is_shared_out_again():
    member = np.zeros((10, 2), dtype=bool)
    member[:3, 0] = member[:, 1] = True  # all of the rare category is in the common one too
    pool = Candidates(n=10, category_names=("rare", "common"), categories=member)
    assert len(run(10, pool=pool).rows) == 10


@pytest.mark.parametrize("t1_only", [False, True])
@pytest.mark.parametrize("fill", FILLS)
def test_blocked_and_unparsed_rows_are_never_taken(fill, t1_only):
    types = F1.behaviour.copy()
    types[0] = "unparsed"
    pool = replace(F1, behaviour=types, blocked=np.arange(12) == 1)
    picked = run(12, pool=pool, fill=fill, t1_only=t1_only)
    assert not {0, 1} & set(picked.rows.tolist())
    assert picked.shortfall == (8 if t1_only else 2)


def test_sss_without_behaviour_labels_uses_every_row():
    assert len(run(12, pool=replace(F1, behaviour=np.array(["not_run"] * 12, dtype=object))).rows) == 12
    assert len(run(12, pool=replace(F1, behaviour=None, blocked=None)).rows) == 12


def test_rows_without_category_come_last_in_ours():
    pool = replace(F1, categories=F1.categories & (np.arange(12) < 10)[:, None])
    assert not {10, 11} & set(run(10, pool=pool).rows.tolist())
    picked = run(11, pool=pool)
    assert [r.role for r in picked.reasons].count("spill") == 1 and picked.reasons[-1].role == "spill"


def test_a_category_without_a_t1_row_is_named_as_a_gap():
    assert any("no T1 rows in 1 categories: D" in w for w in run(4, t1_only=True).warnings)


@pytest.mark.parametrize("fill", FILLS)
def test_pins_count_for_their_rarest_category(fill):
    pool = replace(F1, taken=np.array([10, 11, 4]))
    picked = run(8, pool=pool, fill=fill)
    assert per_category(picked) == {"A": 2, "B": 1, "C": 2, "D": 0}
