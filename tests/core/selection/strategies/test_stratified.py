"""Stratified random: shares by three rules, chance inside, rows of several labels once, thin strata said."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MissingInput
from core.selection import Candidates, select

SIZES = {"A": 64, "B": 16, "C": 4}
LABELS = np.array([name for name, size in SIZES.items() for _ in range(size)])
POOL = Candidates(
    n=84,
    category_names=("A", "B", "C"),
    categories=LABELS[:, None] == np.array(["A", "B", "C"]),
    clusters={
        "kmeans": np.searchsorted(["A", "B", "C"], LABELS),
        "hdbscan": np.repeat([-1, 0, 1], [64, 16, 4]),
    },
    behaviour=np.repeat(np.array(["T1", "T2", "T4"], dtype=object), [64, 16, 4]),
    group=np.array([f"g-{name}" for name in LABELS]),
)


def run(budget, pool=POOL, seed=0, **given):
    return select("stratified", pool, budget, given, seed=seed)


def counts(picked):
    return [int((LABELS[picked.rows] == name).sum()) for name in "ABC"]


@pytest.mark.parametrize("label", ["category", "behaviour", "kmeans", "hdbscan", "group"])
def test_every_label_makes_strata(label):
    for seed in range(3):
        assert counts(run(21, label=label, seed=seed)) == [16, 4, 1]
        assert counts(run(12, label=label, allocation="equal", seed=seed)) == [4, 4, 4]
        assert counts(run(14, label=label, allocation="sqrt", seed=seed)) == [8, 4, 2]


def test_equal_shares_give_what_a_small_stratum_lacks_to_the_others_and_say_it():
    picked = run(30, allocation="equal")
    assert counts(picked) == [13, 13, 4]
    assert any("equal share is 10 rows, and 1 strata have fewer: C has 4" in w for w in picked.warnings)


def test_odd_rows_go_to_the_rarest_stratum_first():
    assert counts(run(2, allocation="equal")) == [0, 1, 1]


def test_strata_take_turns_the_rarest_first():
    picked = run(7, allocation="equal")
    assert [r.category for r in picked.reasons] == ["C", "B", "A", "C", "B", "A", "C"]


def test_a_stratum_that_gets_no_row_is_named():
    assert any("too small for 2 of 3 strata, which have no row: C, B" in w for w in run(1).warnings)


def test_draws_inside_a_stratum_evenly_by_chance():
    hits = np.bincount(np.concatenate([run(21, seed=s).rows for s in range(400)]), minlength=84) / 400
    assert np.abs(hits - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 400)


def test_rows_without_a_label_are_a_stratum_or_come_last():
    bare = replace(POOL, categories=POOL.categories & (LABELS != "A")[:, None])
    picked = run(21, pool=bare)
    assert counts(picked) == [16, 4, 1]
    assert {r.category for r in picked.reasons} == {"no category", "B", "C"}
    assert any("no usable rows in 1 categories: A" in w for w in picked.warnings)
    assert counts(run(20, pool=bare, unlabelled="last")) == [0, 16, 4]
    late = run(22, pool=bare, unlabelled="last")
    assert counts(late) == [2, 16, 4] and [r.role for r in late.reasons[-2:]] == ["unlabelled"] * 2
    noise = run(21, label="hdbscan", unlabelled="last")
    assert counts(noise) == [1, 16, 4] and noise.reasons[-1].cluster == -1


def test_a_row_of_several_categories_counts_once_for_the_rarest():
    member = np.zeros((30, 2), dtype=bool)
    member[:6, 0] = member[:, 1] = True  # every rare row is a common one too
    pool = Candidates(n=30, category_names=("rare", "common"), categories=member)
    for seed in range(5):
        picked = run(12, pool=pool, allocation="equal", seed=seed)
        assert Counter(r.category for r in picked.reasons) == {"rare": 6, "common": 6}
        assert sum(r < 6 for r in picked.rows) == 6
    assert len(set(run(30, pool=pool, allocation="equal").rows.tolist())) == 30


def test_harm_labels_never_take_blocked_or_unreadable_rows_and_fall_short_aloud():
    types = POOL.behaviour.copy()
    types[:10] = "unparsed"
    pool = replace(POOL, behaviour=types, blocked=np.arange(84) >= 80)
    for label in ("category", "behaviour"):
        picked = run(84, pool=pool, label=label)
        assert picked.shortfall == 14 and any("14 rows of the budget" in w for w in picked.warnings)
        assert picked.rows.min() == 10 and picked.rows.max() == 79
        assert np.flatnonzero(picked.ledger.out).tolist() == [*range(10), *range(80, 84)]
    assert len(run(84, pool=pool, label="kmeans").rows) == 84


def test_pins_count_for_their_stratum():
    picked = run(9, pool=replace(POOL, taken=np.array([0, 1, 2, 80])), allocation="equal")
    assert counts(picked) == [3, 3, 3]


def test_groups_that_are_not_there_are_asked_for():
    with pytest.raises(MissingInput, match="no groups; choose another label"):
        run(3, pool=replace(POOL, group=None), label="group")


def test_the_ledger_names_the_stratum_of_every_row():
    picked = run(21)
    ledger = picked.ledger
    assert [ledger.group_names[g] for g in ledger.group] == LABELS.tolist()
    assert ledger.at_random and not ledger.out.any()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_equal_allocation_raises_the_poorest_stratum_row_by_row(labels, data):
    budget = data.draw(st.integers(1, len(labels)))
    sizes = Counter(labels)
    order = sorted(sizes, key=lambda c: (sizes[c], labels.index(c)))  # rarest first
    want = dict.fromkeys(order, 0)
    for _ in range(budget):
        want[min((c for c in order if want[c] < sizes[c]), key=lambda c: (want[c], order.index(c)))] += 1
    pool = Candidates(n=len(labels), clusters={"kmeans": np.array(labels)})
    picked = run(budget, pool=pool, label="kmeans", allocation="equal")
    assert Counter(labels[r] for r in picked.rows) == {c: m for c, m in want.items() if m}


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_proportional_allocation_is_never_a_whole_row_off(labels, data):
    budget = data.draw(st.integers(1, len(labels)))
    pool = Candidates(n=len(labels), clusters={"kmeans": np.array(labels)})
    found = Counter(labels[r] for r in run(budget, pool=pool, label="kmeans").rows)
    for c, size in Counter(labels).items():
        assert abs(found[c] - budget * size / len(labels)) < 1
