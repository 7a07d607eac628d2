"""What is wrong with a json of a person is one sentence that names the field and says what is known."""

import pytest

from core.errors import BadInput
from core.pipeline import parse
from core.values import Recipe, RepairSpec

GOOD = {"pool": "p", "strategy": "uniform"}


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        (
            Recipe,
            GOOD | {"bugdet": {"rows": 3}},
            "it has no field 'bugdet' (did you mean 'budget'?); its fields",
        ),
        (
            Recipe,
            GOOD | {"budget": {"rowz": 3}},
            "budget has no field 'rowz' (did you mean 'rows'?); its fields",
        ),
        (
            Recipe,
            GOOD | {"dedup": {"weight": 3}},
            "dedup has no field 'weight'; its fields are eps, keep, clu",
        ),
        (
            RepairSpec,
            {"selection": GOOD | {"zz": 1}},
            "selection has no field 'zz'; its fields are pool, strat",
        ),
        (Recipe, {"strategy": "uniform"}, "the field 'pool' is missing"),
        (Recipe, {"pol": "p", "strategy": "uniform"}, "it has no field 'pol' (did you mean 'pool'?)"),
        (Recipe, GOOD | {"budget": {"rows": 3, "percent": 1}}, "budget: give the budget as rows, as percent"),
        (Recipe, GOOD | {"pins": ["a", 7]}, "pins.1: input should be a valid string"),
        (RepairSpec, {"selection": 7}, "selection: input should be a valid string"),
    ],
    ids=str,
)
def test_a_mistake_is_named_with_its_place_and_what_is_known(kind, spec, said):
    with pytest.raises(BadInput) as caught:
        parse(kind, spec, "the recipe")
    assert str(caught.value).startswith(f"the recipe cannot be used: {said}")
    assert str(caught.value).endswith("; see --print-example")
    assert "\n" not in str(caught.value) and "Value error" not in str(caught.value)


def test_an_unknown_field_lists_every_field_there_is():
    with pytest.raises(BadInput) as caught:
        parse(Recipe, GOOD | {"x": 1}, "the recipe")
    assert ", ".join(Recipe.model_fields) in str(caught.value)


def test_what_is_right_is_the_value():
    assert parse(Recipe, GOOD, "the recipe") == Recipe(**GOOD)
