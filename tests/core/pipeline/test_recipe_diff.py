"""Two recipes, field by field: what differs is there, what is the same in effect is not."""

from hypothesis import given
from hypothesis import strategies as st

from core.pipeline import Change, diff
from core.values import Budget, Recipe, SemDedup

BASE = Recipe(pool="p", strategy="uniform", budget=Budget(percent=10.0))


def changed(**fields):
    return BASE.model_copy(update=fields)


def test_a_default_left_out_is_no_difference():
    assert diff(changed(strategy="saps"), changed(strategy="saps", params={"rho": 0.5})) == []
    assert diff(changed(strategy="saps"), changed(strategy="saps", params={"rho": 0.25})) == [
        Change("params.rho", 0.5, 0.25)
    ]


def test_fields_are_dotted_and_in_the_recipes_order():
    other = changed(budget=Budget(rows=5), seed=4, dedup=SemDedup(eps=0.1))
    assert diff(BASE, other) == [
        Change("budget.rows", None, 5),
        Change("budget.percent", 10.0, None),
        Change("seed", 0, 4),
        Change("dedup.eps", None, 0.1),
        Change("dedup.keep", None, "hard"),
        Change("dedup.clusters", None, "kmeans"),
    ]


def test_pins_are_counts_with_the_ids_that_only_one_side_has():
    left, right = changed(pins=("a", "b", "c")), changed(pins=("b",), bans=("z",))
    assert diff(left, right) == [
        Change("pins", "3 rows: a, c", "1 row"),
        Change("bans", "0 rows", "1 row: z"),
    ]
    many = changed(pins=tuple(f"r{i}" for i in range(8)))
    assert diff(BASE, many) == [Change("pins", "0 rows", "8 rows: r0, r1, r2, r3, r4 and 3 more")]


def test_pins_in_another_order_are_a_difference_since_rows_come_in_it():
    assert diff(changed(pins=("a", "b")), changed(pins=("b", "a"))) == [
        Change("pins", "2 rows: a, b", "2 rows: b, a")
    ]


def test_a_recipe_that_this_version_cannot_read_is_still_compared():
    old = changed(strategy="gone", params={"w": {"deep": 1}})
    assert diff(BASE, old) == [
        Change("strategy", "uniform", "gone"),
        Change("params.w.deep", None, 1),
    ]
    assert diff(old, changed(strategy="gone", params={"w": {"deep": 2}})) == [Change("params.w.deep", 1, 2)]


RECIPES = st.builds(
    Recipe,
    pool=st.sampled_from(["p", "q"]),
    strategy=st.sampled_from(["uniform", "saps"]),
    params=st.sampled_from([{}, {}, {"rho": 0.5}, {"rho": 0.2}]),
    budget=st.sampled_from([Budget(rows=3), Budget(percent=3.0), Budget(tokens=3)]),
    seed=st.integers(0, 2),
    pins=st.lists(st.sampled_from("abc"), unique=True).map(tuple),
    dedup=st.none() | st.builds(SemDedup, eps=st.sampled_from([0.1, 0.2])),
)


@given(RECIPES, RECIPES)
def test_the_other_way_round_it_is_the_mirror_image_and_nothing_differs_from_itself(a, b):
    assert diff(a, a) == []
    assert {(c.field, c.left, c.right) for c in diff(a, b)} == {
        (c.field, c.right, c.left) for c in diff(b, a)
    }
    if a.model_dump(exclude={"params"}) != b.model_dump(exclude={"params"}):
        assert diff(a, b)
