"""PSS and PSS-B: case 6 of behaviour-and-prism 2.8, overlap, fills, zero vectors, a plain reference."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.selection import STRATEGIES, Candidates, select

E = np.array([[1, 0], [0, 1], [2, 2], [1, 2]], dtype=np.float32)
CASE6 = Candidates(
    n=4,
    vectors={"embedding@prompt": E},
    category_names=("A", "B"),
    categories=np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=bool),
)
FILLS = ["water_fill", "paper"]


def run(budget, pool=CASE6, seed=0, **given):
    return select("pss", pool, budget, given, seed=seed)


@pytest.mark.parametrize("fill", FILLS)
def test_a_row_of_two_categories_uses_up_one_quota_only(fill):
    picked = run(2, fill=fill)
    assert picked.rows.tolist() == [2, 0]  # B takes 2, A takes 0 of the tie 0, 1
    assert [r.category for r in picked.reasons] == ["B", "A"]
    assert [r.score for r in picked.reasons] == pytest.approx([0.98995, 0.70711], abs=5e-6)


def test_prototypes_are_means_of_vectors_as_given():
    ledger = run(4).ledger
    assert ledger.value.tolist() == pytest.approx([0.70711, 0.70711, 0.98995, 0.98387], abs=5e-6)
    assert [ledger.group_names[g] for g in ledger.group] == ["A", "A", "B", "B"]


def test_what_categories_cannot_fill_goes_to_the_smallest_or_at_random():
    x = np.array([[1, 0]] * 2 + [[1, i] for i in range(10)], dtype=np.float32)
    member = np.zeros((12, 2), dtype=bool)
    member[:2, 0] = member[2:, 1] = True
    pool = Candidates(
        n=12, vectors={"embedding@prompt": x}, category_names=("rare", "common"), categories=member
    )
    ours = run(8, pool=pool)
    assert {r.role for r in ours.reasons} == {"category"}
    theirs = [run(8, pool=pool, fill="paper", seed=s) for s in range(8)]
    assert [r.role for r in theirs[0].reasons] == ["category"] * 6 + ["spill"] * 2
    assert all(np.array_equal(p.rows[:6], theirs[0].rows[:6]) for p in theirs)
    assert len({tuple(p.rows) for p in theirs}) > 3  # the spill is random, and seeded
    assert any("equal share is 4 rows, and 1 categories have fewer: rare has 2" in w for w in ours.warnings)


def test_the_behaviour_aware_form_takes_t1_only_and_makes_prototypes_of_them():
    x = np.array([[1, 0], [1, 0.3], [1, 1], [0, 9], [0, 9]], dtype=np.float32)
    pool = Candidates(
        n=5,
        vectors={"embedding@prompt": x},
        category_names=("A",),
        categories=np.ones((5, 1), dtype=bool),
        behaviour=np.array(["T1", "T1", "T1", "T2", "T4"], dtype=object),
    )
    assert run(1, pool=pool).rows.tolist() == [3]
    picked = run(4, pool=pool, t1_only=True)
    assert (
        picked.rows.tolist() == [1, 2, 0] and picked.shortfall == 1
    )  # prototype (1, 0.43): 7, 22, 23 degrees
    assert any("-B form never takes T2, T3 or T4" in w for w in picked.warnings)


def test_a_vector_of_zeros_counts_as_cosine_zero_and_is_said():
    x = E.copy()
    x[2] = 0
    picked = run(
        1,
        pool=replace(
            CASE6, vectors={"embedding@prompt": x}, categories=CASE6.categories[:, :1].repeat(2, axis=1)
        ),
    )
    assert 2 not in picked.rows and "1 rows have a vector of zeros" in picked.warnings[0]


def test_a_budget_below_the_number_of_categories_is_said():
    assert any("stratification is inactive: 1 rows for 2" in w for w in run(1).warnings)
    assert {r.role for r in run(1, fill="paper").reasons} == {"spill"}


def test_rows_without_category_come_last_and_have_no_score():
    pool = replace(CASE6, categories=CASE6.categories & (np.arange(4) != 1)[:, None])
    picked = run(4, pool=pool)
    assert picked.rows[-1] == 1 and picked.reasons[-1].role == "spill" and picked.reasons[-1].score is None
    assert picked.ledger.group[1] == -1


def test_compares_instructions_unless_asked_for_both():
    spec = STRATEGIES["pss"]
    assert spec.needs(spec.params()) == ("column:category", "vectors:embedding@prompt")
    assert spec.needs(spec.params(text="prompt+response", t1_only=True)) == (
        "column:category",
        "vectors:embedding@prompt+response",
        "column:behaviour",
    )


def cosine(a, b):
    lengths = math.sqrt(sum(v * v for v in a)) * math.sqrt(sum(v * v for v in b))
    return round(sum(v * w for v, w in zip(a, b, strict=True)) / lengths, 12) if lengths else 0.0


def plain(x, member, budget, fill):
    """Case 2.4 as it is told: prototypes, quotas, the best not yet taken; without the spill."""
    n, k = member.shape
    size = member.sum(axis=0)
    order = sorted((c for c in range(k) if size[c]), key=lambda c: (size[c], int(member[:, c].argmax())))
    proto = {c: [sum(x[i][j] for i in range(n) if member[i, c]) / size[c] for j in range(2)] for c in order}
    taken: list[int] = []

    def draw(c, count):
        rows = [i for i in range(n) if member[i, c] and i not in taken]
        taken.extend(sorted(rows, key=lambda i: (-cosine(x[i], proto[c]), i))[:count])

    if fill == "paper":
        for c in order:
            draw(c, budget // len(order))
        return taken
    got = dict.fromkeys(order, 0)
    while len(taken) < budget:
        room = {c: sum(member[i, c] and i not in taken for i in range(n)) for c in order}
        plan = dict.fromkeys(order, 0)
        for _ in range(budget - len(taken)):
            hungry = [c for c in order if plan[c] < room[c]]
            if not hungry:
                break
            plan[min(hungry, key=lambda c: (got[c] + plan[c], got[c] + room[c], order.index(c)))] += 1
        if not any(plan.values()):
            break
        for c in order:
            before = len(taken)
            draw(c, plan[c])
            got[c] += len(taken) - before
    return taken


@pytest.mark.parametrize("fill", FILLS)
@given(st.integers(1, 14), st.integers(0, 2**16), st.data())
def test_agrees_with_a_plain_telling_of_the_sampler(fill, n, seed, data):
    rng = np.random.default_rng(seed)
    x, member = rng.integers(-2, 3, (n, 2)), rng.random((n, 3)) < 0.5
    budget = data.draw(st.integers(1, n))
    pool = Candidates(
        n=n, vectors={"embedding@prompt": x.astype(float)}, category_names=tuple("ABC"), categories=member
    )
    picked = run(budget, pool=pool, fill=fill)
    want = plain(x.tolist(), member, budget, fill) if member.any() else []
    assert picked.rows[: len(want)].tolist() == want
    assert {r.role for r in picked.reasons[len(want) :]} <= {"spill"}
