"""Small readers of the workbench: ids in a box, recipes in a file, what a strategy is for."""

import json

import pytest

from core.errors import BadInput
from core.selection import STRATEGIES
from core.values import Recipe
from ui import recipe_form
from ui.marks import parse_ids
from ui.recipe_views import LARGEST, read

RECIPE = Recipe(pool="p", strategy="uniform", pins=("a",))


def test_ids_are_separated_by_commas_and_lines_and_may_hold_blanks_and_colons():
    assert parse_ids(" a b , c:1\r\n\n,d\nc:1") == ("a b", "c:1", "d")
    assert parse_ids(" \n , ") == ()


def test_a_recipe_is_read_alone_or_from_a_saved_recipe_or_a_selection():
    plain = RECIPE.model_dump(mode="json")
    for value in (plain, {"name": "x", "recipe": plain}, {"ids": ["a"], "recipe": plain}):
        assert read(json.dumps(value).encode()) == RECIPE


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{broken", "no json"),
        (b"\xff\xfe\x00", "no json"),
        (b"[1, 2]", "holds no recipe"),
        (b'{"pool": "p", "strategi": "uniform"}', "strategi"),
        (b'{"pool": "p", "strategy": "uniform", "budget": {"rows": 1, "percent": 2}}', "one of them only"),
        (b" " * (LARGEST + 1), "bytes"),
    ],
)
def test_what_is_no_recipe_is_a_sentence(data, said):
    with pytest.raises(BadInput, match=said):
        read(data)


def test_every_strategy_says_in_one_line_what_it_is_for():
    for name in STRATEGIES:
        line = recipe_form.what_for(STRATEGIES[name])
        assert line.endswith(".") and line[0].isupper() and "\n" not in line and len(line) < 200, name


def test_the_chooser_begins_with_what_needs_nothing_and_lists_every_strategy_once():
    names = recipe_form.order()
    assert names[:2] == ["uniform", "blend"] and sorted(names) == sorted(STRATEGIES)
    kinds = [recipe_form.KINDS.index(recipe_form.looks_at(STRATEGIES[n])) for n in names[2:]]
    assert kinds == sorted(kinds)
