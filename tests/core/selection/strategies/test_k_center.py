"""K-Center: the traversals of selection 8.4, the factor 2, and the plain loop as a judge of the fast one."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from core.errors import BadInput
from core.selection import Candidates, select


def pool_of(x, **more):
    x = np.asarray(x, dtype=more.pop("dtype", np.float32))
    return Candidates(n=len(x), vectors={"embedding": x.reshape(len(x), -1)}, **more)


def run(x, budget, start=0, **more):
    return select("k_center", pool_of(x, **more), budget, {"start": "index", "index": start})


def plain(x, budget, start):
    """The plain farthest-first loop: one pass over the data per pick."""
    x = np.asarray(x, dtype=np.float64)
    picked, radius = [start], []
    gap = np.linalg.norm(x - x[start], axis=1)
    while True:
        gap[picked[-1]] = -1.0
        radius.append(max(gap.max(), 0.0))
        if len(picked) == budget:
            return picked, radius
        picked.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(x - x[picked[-1]], axis=1))


@pytest.mark.parametrize(
    ("points", "order", "radius"),
    [
        ([0, 1, 2, 9, 10], [0, 4, 2, 1, 3], [10, 2, 1, 1, 0]),
        ([0, 0, 5], [0, 2, 1], [5, 0, 0]),
        ([(0, 0), (0, 1), (1, 0), (1, 1), (5, 5)], [0, 4, 3, 1, 2], [7.071068, 1.414214, 1, 1, 0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_follows_the_hand_computed_traversals(points, order, radius, dtype):
    picked = run(points, len(points), dtype=dtype)
    assert picked.rows.tolist() == order
    np.testing.assert_allclose(picked.trace["radius"], radius, atol=1e-6)


def test_radius_is_between_the_best_possible_and_twice_that():
    rng = np.random.default_rng(0)
    for _ in range(40):
        x = rng.normal(size=(8, 2))
        d = np.linalg.norm(x[:, None] - x[None], axis=2)
        radius = run(x, 8, dtype=np.float64).trace["radius"]
        for k in (1, 2, 3, 5):
            best = min(d[:, c].min(axis=1).max() for c in combinations(range(8), k))
            assert best - 1e-9 <= radius[k - 1] <= 2 * best + 1e-9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["normal", "duplicates", "far off"])
def test_looking_ahead_picks_the_same_rows_as_the_plain_loop(kind, dtype):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1500, 12)).astype(dtype)
    if kind == "duplicates":
        x = x[rng.integers(0, 500, 1500)]
    if kind == "far off":
        x += 1000
    order, radius = plain(x, 900, start=7)
    picked = run(x, 900, start=7, dtype=dtype)
    np.testing.assert_array_equal(picked.rows, order)
    np.testing.assert_allclose(picked.trace["radius"], radius, atol=1e-5, rtol=1e-4)


def test_hundreds_of_rows_at_the_same_distance_go_by_row_number():
    assert run(np.eye(700), 600).rows.tolist() == list(range(600))


def test_ties_everywhere_go_to_the_row_the_plain_loop_takes():
    grid = np.random.default_rng(2).permutation(
        np.stack(np.meshgrid(*[range(11)] * 3), axis=-1).reshape(-1, 3)
    )
    order, radius = plain(grid, 1331, start=5)
    picked = run(grid, 1331, start=5)
    np.testing.assert_array_equal(picked.rows, order)
    np.testing.assert_allclose(picked.trace["radius"], radius, rtol=1e-6)


def test_all_rows_identical_are_taken_in_order_and_said_to_cover_nothing_new():
    picked = run(np.ones((6, 3)), 4, start=2)
    assert picked.rows.tolist() == [2, 0, 1, 3]
    assert [r.role for r in picked.reasons] == ["start", "duplicate", "duplicate", "duplicate"]
    assert "exact duplicates" in picked.warnings[0]


def test_starts_at_the_row_nearest_the_mean_unless_told_otherwise():
    assert select("k_center", pool_of([0, 1, 2, 9, 10]), 1).rows.tolist() == [2]
    starts = {
        int(select("k_center", pool_of(range(20)), 1, {"start": "random"}, seed=s).rows[0]) for s in range(30)
    }
    assert len(starts) > 10


def test_pins_count_as_taken_and_replace_the_start():
    picked = select("k_center", pool_of([0, 1, 2, 9, 10], taken=np.array([1, 0])), 4)
    assert picked.rows.tolist() == [1, 0, 4, 2]
    np.testing.assert_allclose(picked.trace["radius"], [9, 9, 1, 1], atol=1e-6)


def test_a_pinned_duplicate_keeps_its_twin_for_the_end():
    assert select("k_center", pool_of([0, 5, 5, 7], taken=np.array([2])), 4).rows.tolist() == [2, 0, 3, 1]


def test_banned_rows_are_neither_taken_nor_covered():
    allowed = np.array([1, 1, 1, 1, 0], dtype=bool)
    picked = run([0, 1, 2, 9, 1000], 2, allowed=allowed)
    assert picked.rows.tolist() == [0, 3] and picked.trace["radius"][0] == pytest.approx(9)


def test_a_start_row_that_may_not_be_taken_is_refused():
    with pytest.raises(BadInput, match="start row 8 is not among"):
        run([0, 1, 2], 2, start=8)
    with pytest.raises(BadInput, match="start row 1 is not among"):
        run([0, 1, 2], 2, start=1, allowed=np.array([1, 0, 1], dtype=bool))


def test_covers_better_than_random_and_tells_each_rows_distance():
    x = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    picked = select("k_center", pool_of(x), 20)
    drawn = select("uniform", pool_of(x), 20).rows

    def worst(rows):
        return np.linalg.norm(x[:, None] - x[rows][None], axis=2).min(axis=1).max()

    assert worst(picked.rows) < worst(drawn)
    assert worst(picked.rows) == pytest.approx(picked.trace["radius"][-1], rel=1e-5)
    to_earlier = [
        np.linalg.norm(x[r] - x[picked.rows[:i]], axis=1).min() for i, r in enumerate(picked.rows) if i
    ]
    np.testing.assert_allclose([r.score for r in picked.reasons[1:]], to_earlier, rtol=1e-5)


def test_another_space_can_be_covered():
    pool = replace(pool_of([0, 0, 0, 0]), vectors={"pca50": np.array([[0], [1], [5], [9]], dtype=np.float32)})
    picked = select("k_center", pool, 2, {"space": "pca50", "start": "index"})
    assert picked.rows.tolist() == [0, 3]


def test_a_reason_tells_the_role_and_the_start_has_no_distance():
    picked = run([0, 0, 5], 3)
    assert [(r.role, r.score) for r in picked.reasons] == [
        ("start", None),
        ("farthest", 5.0),
        ("duplicate", 0.0),
    ]


def test_the_ledger_holds_each_rows_distance_to_the_nearest_chosen_one():
    allowed = np.array([1, 1, 1, 1, 1, 0], dtype=bool)
    picked = run([0, 3, 4, 9, 10, 50], 2, allowed=allowed)
    np.testing.assert_allclose(picked.ledger.value, [0, 3, 4, 1, 0, np.nan], atol=1e-6)
    rest = picked.ledger.value[[1, 2, 3]]
    assert rest.max() == pytest.approx(picked.trace["radius"][-1])


CROWD = np.append(np.random.default_rng(0).normal(size=98), [500.0, -900.0])


def test_outliers_are_neither_covered_nor_taken_before_all_others():
    assert {98, 99} <= set(run(CROWD, 4).rows.tolist())
    given = {"start": "index", "ignore_outliers": 2.0}
    picked = select("k_center", pool_of(CROWD), 4, given)
    assert not {98, 99} & set(picked.rows.tolist()) and picked.trace["radius"][0] < 10
    assert picked.ledger.out.nonzero()[0].tolist() == [98, 99]
    assert "among the 2 % of rows farthest from their 10th nearest" in picked.ledger.out_reason
    whole = select("k_center", pool_of(CROWD), 100, given)
    assert whole.rows[-2:].tolist() == [98, 99] and [r.role for r in whole.reasons[-2:]] == ["outlier"] * 2
    assert any("2 outliers that were to be ignored" in said for said in whole.warnings)


def test_a_row_that_is_pinned_or_given_as_start_is_no_outlier():
    given = {"ignore_outliers": 1.0}
    pinned = select("k_center", pool_of(CROWD, taken=np.array([99])), 3, given)
    assert pinned.ledger.out.nonzero()[0].tolist() == [98]
    begun = select("k_center", pool_of(CROWD), 3, given | {"start": "index", "index": 99})
    assert begun.rows[0] == 99 and begun.ledger.out.nonzero()[0].tolist() == [98]


def test_the_percentage_of_outliers_is_rounded_down():
    assert not select("k_center", pool_of(CROWD[:49]), 3, {"ignore_outliers": 2.0}).ledger.out.any()
