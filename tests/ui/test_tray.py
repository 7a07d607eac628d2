"""The comparison tray: six arms, names that stay apart, colours that stay with their arm."""

from core.values import Budget, Recipe
from ui import theme
from ui.tray import MOST, with_arm


def recipe(percent):
    return Recipe(pool="p", strategy="uniform", budget=Budget(rows=None, percent=percent))


def filled(count):
    held = ()
    for i in range(count):
        held = with_arm(held, recipe(float(i + 1)))
    return held


def test_an_arm_is_named_by_strategy_and_budget_and_equal_names_are_numbered():
    held = with_arm(filled(1), recipe(1.0).model_copy(update={"seed": 1}))
    assert [arm.name for arm in held] == ["Random, 1 %", "Random, 1 % (2)"]


def test_a_seventh_arm_and_the_same_recipe_again_change_nothing():
    held = filled(MOST)
    assert with_arm(held, recipe(99.0)) == held
    assert with_arm(filled(2), recipe(1.0)) == filled(2)


def test_colours_are_apart_and_a_removed_arm_gives_its_own_to_the_next():
    held = filled(MOST)
    assert len({arm.colour for arm in held}) == MOST
    left = tuple(arm for arm in held if arm.slot != 2)
    again = with_arm(left, recipe(50.0))
    assert again[:-1] == left and again[-1].colour == theme.PALETTE[2]
