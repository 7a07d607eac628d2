"""SSS and SSS-B: the reference cases of behaviour-and-prism 2.8, shortfalls, rows never taken."""

from dataclasses import replace

import numpy as np
import pytest

from core.selection import Candidates, generator, select

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


def test_ten_rows_for_fourteen_categories_are_said_to_be_inactive():
    pool = Candidates(
        n=140, category_names=tuple("ABCDEFGHIJKLMN"), categories=np.eye(14, dtype=bool).repeat(10, axis=0)
    )
    assert "stratification is inactive: 10 rows for 14 categories" in run(10, pool=pool).warnings[0]
    assert run(100, pool=pool).warnings == ()  # 7 of each and 2 more


def test_a_category_with_less_than_an_equal_share_is_said_with_what_it_has():
    assert any("equal share is 3 rows, and 1 categories have fewer: D has 2" in w for w in run(12).warnings)


@pytest.mark.parametrize("fill", FILLS)
def test_the_ledger_says_where_each_row_competed_and_what_is_out(fill):
    picked = run(4, t1_only=True, fill=fill)
    ledger = picked.ledger
    assert ledger.at_random and ledger.value is None
    assert ledger.out.tolist() == [kind != "T1" for kind in TYPES] and "not T1" in ledger.out_reason
    for row, why in zip(picked.rows, picked.reasons, strict=True):
        assert ledger.group_names.get(ledger.group[row]) == why.category
    others = [r for r in (0, 1, 2) if r not in picked.rows]
    assert {ledger.group_names[ledger.group[r]] for r in others} <= {"A"}


@pytest.mark.parametrize("fill", FILLS)
def test_draws_the_rows_that_a_plain_telling_of_the_sampler_draws(fill):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 30))
        member = rng.random((n, 4)) < 0.4
        budget = int(rng.integers(1, n + 1))
        pool = Candidates(n=n, category_names=tuple("ABCD"), categories=member)
        picked = run(budget, pool=pool, seed=seed, fill=fill)
        assert picked.rows.tolist() == plain(member, budget, fill, generator(seed, "sss"))


def plain(member, budget, fill, rng):
    """2.4 as it is told, with the same generator: sets, one category after the other."""
    n, size = len(member), member.sum(axis=0)
    order = sorted(np.flatnonzero(size).tolist(), key=lambda c: (size[c], int(member[:, c].argmax())))
    left, taken, got = set(range(n)), [], dict.fromkeys(order, 0)

    def draw(rows, count):
        rows = sorted(rows)
        drawn = rows if len(rows) <= count else rng.choice(rows, count, replace=False).tolist()
        taken.extend(drawn)
        left.difference_update(drawn)
        return len(drawn)

    if fill == "paper":
        for c in order:
            if budget // len(order):
                draw([i for i in left if member[i, c]], budget // len(order))
    while fill == "water_fill" and len(taken) < budget:
        room = {c: sum(bool(member[i, c]) for i in left) for c in order}
        plan = dict.fromkeys(order, 0)
        for _ in range(budget - len(taken)):
            hungry = [c for c in order if plan[c] < room[c]]
            if hungry:
                plan[min(hungry, key=lambda c: (got[c] + plan[c], got[c] + room[c], order.index(c)))] += 1
        if not any(plan.values()):
            break
        for c in order:
            if plan[c]:
                got[c] += draw([i for i in left if member[i, c]], plan[c])
    if len(taken) < budget:
        draw(left, budget - len(taken))
    return taken
