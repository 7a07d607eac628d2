"""Cossim and Cossim-B: case 7 of behaviour-and-prism 2.8, the reference's rows, fills, a plain reference."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MissingInput
from core.selection import STRATEGIES, Candidates, Reference, select

SPACE = "embedding@prompt+response"
REFERENCE = Reference(
    np.array([[1, 0], [0.8, 0.6], [0, 1]]),
    ("r0", "r1", "r2"),
    ("X", "Y"),
    np.array([[1, 0], [1, 0], [0, 1]], dtype=bool),
)
E = np.array([[1, 0], [0, 1], [0.6, 0.8]])
CASE7 = Candidates(
    n=3,
    vectors={SPACE: E},
    references={SPACE: REFERENCE},
    category_names=("X", "Y"),
    categories=np.zeros((3, 2), dtype=bool),
)
FILLS = ["water_fill", "paper"]


def run(budget, pool=CASE7, **given):
    return select("cossim", pool, budget, given)


def tags(picked):
    return {int(r): why.category for r, why in zip(picked.rows, picked.reasons, strict=True)}


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(
    ("budget", "rows"), [(2, {0: "X", 1: "Y"}), (3, {0: "X", 1: "Y", 2: "Y"}), (1, {1: "Y"})]
)
def test_the_case_of_three_rows_and_two_categories(fill, budget, rows):
    assert tags(run(budget, fill=fill)) == rows


def test_a_score_is_the_mean_cosine_to_the_category():
    picked = run(3)
    assert [r.score for r in picked.reasons] == pytest.approx([0.9, 1.0, 0.8])
    assert picked.ledger.value.tolist() == pytest.approx([0.9, 1.0, 0.8])
    assert [picked.ledger.group_names[g] for g in picked.ledger.group] == ["X", "Y", "Y"]


def test_reference_vectors_count_by_direction_not_length():
    longer = replace(REFERENCE, vectors=REFERENCE.vectors * np.array([[50.0], [1.0], [3.0]]))
    picked = run(3, pool=replace(CASE7, references={SPACE: longer}, vectors={SPACE: 7 * E}))
    assert [r.score for r in picked.reasons] == pytest.approx([0.9, 1.0, 0.8])


def test_the_authors_overshoot_is_cut_by_score_and_said():
    assert any(
        "takes 2 rows: the 1 with the lowest score are left out" in w for w in run(1, fill="paper").warnings
    )
    assert any("inactive: 1 rows for 2" in w for w in run(1).warnings)


def test_what_remains_goes_by_best_score_in_the_paper_form_and_one_per_category_in_ours():
    x = np.array([[1, 0], [1, 0.01], [1, 0.02], [1, 0.03], [-1, 0.1], [-1, 0.2], [-1, 0.3]])
    reference = Reference(
        np.array([[1, 0], [0, 1], [-1, 0]]), tuple("abc"), tuple("XYZ"), np.eye(3, dtype=bool)
    )
    pool = Candidates(
        n=7,
        vectors={SPACE: x},
        references={SPACE: reference},
        category_names=tuple("XYZ"),
        categories=np.zeros((7, 3), dtype=bool),
    )
    theirs, ours = run(5, pool=pool, fill="paper"), run(5, pool=pool)
    assert [r.category for r in theirs.reasons] == ["X", "Y", "Z", "X", "X"]
    assert sorted(r.category for r in ours.reasons) == ["X", "X", "Y", "Z", "Z"]
    assert [r.role for r in theirs.reasons] == ["category"] * 3 + ["spill"] * 2


def test_only_reference_rows_of_exactly_one_category_speak():
    extra = Reference(
        np.vstack([REFERENCE.vectors, [[0, -1], [-1, 0]]]),
        tuple("abcde"),
        ("X", "Y"),
        np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool),
    )
    assert run(3, pool=replace(CASE7, references={SPACE: extra})).ledger.value.tolist() == pytest.approx(
        [0.9, 1.0, 0.8]
    )


def test_categories_match_by_name_and_lacking_ones_are_named():
    pool = replace(CASE7, category_names=("W", "Y", "X"), categories=np.zeros((3, 3), dtype=bool))
    picked = run(2, pool=pool)
    assert tags(picked) == {0: "X", 1: "Y"}
    assert len(picked.warnings) == 1 and "with that category alone: W" in picked.warnings[0]


def test_a_pool_without_categories_takes_those_of_the_reference():
    assert tags(run(2, pool=replace(CASE7, category_names=(), categories=None))) == {0: "X", 1: "Y"}


def test_a_reference_that_shares_no_category_is_refused():
    with pytest.raises(MissingInput, match="3 have exactly one, and none of them"):
        run(1, pool=replace(CASE7, category_names=("W", "V")))
    bare = replace(REFERENCE, categories=None)
    with pytest.raises(MissingInput, match="0 have exactly one"):
        run(1, pool=replace(CASE7, references={SPACE: bare}))


@pytest.mark.parametrize("fill", FILLS)
def test_the_behaviour_aware_form_takes_t1_only_and_falls_short(fill):
    pool = replace(CASE7, behaviour=np.array(["T1", "T2", "T1"], dtype=object))
    picked = run(3, pool=pool, t1_only=True, fill=fill)
    assert set(picked.rows.tolist()) == {0, 2} and picked.shortfall == 1
    assert any("only 2 T1 rows are there" in w for w in picked.warnings)
    assert picked.ledger.out.tolist() == [False, True, False]


@pytest.mark.parametrize("fill", FILLS)
def test_a_pin_counts_for_the_category_it_is_most_like(fill):
    x = np.vstack([E, [[1, 0.1], [0.1, 1]]])
    pool = replace(
        CASE7, n=5, vectors={SPACE: x}, categories=np.zeros((5, 2), dtype=bool), taken=np.array([1, 4])
    )
    assert set(run(4, pool=pool, fill=fill).rows[2:].tolist()) == {0, 3}


def test_zero_vectors_are_said():
    zero = replace(REFERENCE, vectors=REFERENCE.vectors * np.array([[1.0], [0.0], [1.0]]))
    picked = run(
        2, pool=replace(CASE7, vectors={SPACE: E * np.array([[1.0], [1.0], [0.0]])}, references={SPACE: zero})
    )
    said = " ".join(picked.warnings)
    assert "1 rows have a vector of zeros" in said and "1 reference rows have a vector of zeros" in said


def test_compares_both_parts_unless_asked_for_instructions():
    spec = STRATEGIES["cossim"]
    assert spec.needs(spec.params()) == (f"vectors:{SPACE}", f"reference:{SPACE}")
    assert spec.needs(spec.params(text="prompt")) == (
        "vectors:embedding@prompt",
        "reference:embedding@prompt",
    )
    assert "column:behaviour" in spec.needs(spec.params(t1_only=True))


def cosine(a, b):
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(v * w for v, w in zip(a, b, strict=True)) / lengths if lengths else 0.0


def plain(x, reference, member, budget, fill):
    """2.4 as it is told: every pair of rows compared, then k each in column order, then the rest."""
    n, single = len(x), member.sum(axis=1) == 1
    of = [[v for v, m, s in zip(reference, member[:, c], single, strict=True) if m and s] for c in range(3)]
    cats = [c for c in range(3) if of[c]]
    score = {
        (i, c): round(math.fsum(cosine(x[i], v) for v in of[c]) / len(of[c]), 12)
        for i in range(n)
        for c in cats
    }
    taken: dict[int, int] = {}

    def best(c):
        return min((i for i in range(n) if i not in taken), key=lambda i: (-score[i, c], i))

    k = budget // len(cats)
    for c in cats:
        for _ in range(max(k, 1) if fill == "paper" else k):
            if len(taken) < n:
                taken[best(c)] = c
    if len(taken) > budget:
        return sorted(taken, key=lambda i: (-score[i, taken[i]], i))[:budget]
    extra: set[int] = set()
    while len(taken) < budget:
        pairs = [(-score[i, c], i, c) for i in range(n) for c in cats if i not in taken and c not in extra]
        _, i, c = min(pairs)
        taken[i] = c
        extra |= {c} if fill == "water_fill" else set()
    return list(taken)


@pytest.mark.parametrize("fill", FILLS)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(0, 2**16), st.data())
def test_agrees_with_a_plain_telling_of_the_sampler(fill, n, m, seed, data):
    rng = np.random.default_rng(seed)
    x, vectors = rng.normal(size=(n, 2)).round(1), rng.normal(size=(m, 2)).round(1)
    member = rng.random((m, 3)) < 0.5
    member[0] = [True, False, False]
    budget = data.draw(st.integers(1, n))
    pool = Candidates(
        n=n,
        vectors={SPACE: x},
        references={SPACE: Reference(vectors, (), tuple("XYZ"), member)},
        category_names=tuple("XYZ"),
        categories=np.zeros((n, 3), dtype=bool),
    )
    want = plain(x.tolist(), vectors.tolist(), member, budget, fill)
    assert set(run(budget, pool=pool, fill=fill).rows.tolist()) == set(want)


def test_the_setting_says_that_the_authors_overshoot_is_cut():
    described = STRATEGIES["cossim"].params.model_fields["fill"].description
    assert "beyond the budget is cut" in described
