"""Drawing from groups that overlap: equal shares, once per row, nothing lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.selection.draw import NOBODY, Draw, at_random, first_group


def lowest(rows, count, group):
    return rows[:count]


@st.composite
def overlapping(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    n, k = draw(st.integers(1, 25)), draw(st.integers(1, 5))
    member = rng.random((k, n)) < draw(st.sampled_from([0.2, 0.5]))
    free = rng.random(n) < 0.9
    held = (member & ~free).sum(axis=1)
    return [np.flatnonzero(row) for row in member], free, held


def plain_level(groups, free, held, budget):
    """Round after round: plan to raise the poorest group that still has rows, row by row; then draw."""
    left, held, drawn = set(np.flatnonzero(free).tolist()), held.tolist(), []
    members = [set(g.tolist()) for g in groups]
    while len(drawn) < budget:
        room = [len(m & left) for m in members]
        size = [h + r for h, r in zip(held, room, strict=True)]
        added = [0] * len(groups)
        for _ in range(budget - len(drawn)):
            hungry = [g for g in range(len(groups)) if added[g] < room[g]]
            if not hungry:
                break
            added[min(hungry, key=lambda g: (held[g] + added[g], size[g], g))] += 1
        if not any(added):
            break
        for g, count in enumerate(added):
            for row in sorted(members[g] & left)[:count]:
                drawn.append((row, g))
                left.discard(row)
                held[g] += 1
    return drawn


@given(overlapping(), st.integers(0, 30))
def test_levelling_is_raising_the_poorest_group_row_by_row(case, budget):
    groups, free, held = case
    draw = Draw(groups, free, held, lowest)
    draw.level(budget)
    drawn = list(zip(draw.rows.tolist(), draw.by.tolist(), strict=True))
    assert drawn == plain_level(groups, free, held, budget)
    covered = {r for g in groups for r in g.tolist() if free[r]}
    assert draw.count == len({r for r, _ in drawn}) == min(budget, len(covered))


@given(overlapping(), st.integers(0, 30), st.integers(0, 6))
def test_shares_never_exceed_quota_or_budget_and_spill_takes_anything(case, budget, quota):
    groups, free, held = case
    draw = Draw(groups, free, held, lowest)
    draw.shares(np.full(len(groups), quota), budget)
    assert (draw.held <= np.maximum(held, quota)).all() and draw.count <= budget
    draw.spill(budget)
    assert len(set(draw.rows.tolist())) == draw.count == min(budget, int(free.sum()))
    assert free[draw.rows].all()


def test_a_row_is_counted_for_the_first_of_its_groups():
    groups = [np.array([2, 3]), np.array([0, 2])]
    assert first_group(groups, 5).tolist() == [1, NOBODY, 0, 0, NOBODY]
    assert first_group([], 2).tolist() == [NOBODY, NOBODY]


def test_drawing_at_random_is_even():
    rng = np.random.default_rng(0)
    choose = at_random(rng)
    hits = np.bincount(np.concatenate([choose(np.arange(10), 3, 0) for _ in range(4000)]), minlength=10)
    assert np.abs(hits - 1200).max() < 5 * np.sqrt(4000 * 0.3 * 0.7)
    assert choose(np.arange(3), 5, 0).tolist() == [0, 1, 2]
