"""The values between stages: budgets, templates, settings."""

import pandas as pd
import pytest
from pydantic import Field, ValidationError

from core.errors import BadInput
from core.values import Budget, EvaluationProtocol, Params, Pool, Recipe, settings


def small_pool() -> Pool:
    frame = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "prompt": ["p", "", "q"],
            "response": ["good", "", ""],
            "rejected": ["bad", "only bad", ""],
            "category": [["x", "y"], [], ["y"]],
            "split": ["train", "test", "train"],
        }
    )
    return Pool("tiny", frame, "f", "s")


def test_a_row_without_a_response_is_read_by_its_rejected_side():
    pool = small_pool()
    assert pool.texts("response") == ["good", "only bad", ""]
    assert pool.texts() == ["p good", "only bad", "q"]
    with pytest.raises(ValueError, match="no single text"):
        pool.texts("difference")


def test_a_row_may_have_several_categories():
    names, member = small_pool().categories()
    assert names == ("x", "y")
    assert member.tolist() == [[True, True], [False, False], [False, True]]
    assert small_pool().rows("train").tolist() == [0, 2]


class Knobs(Params):
    share: float = Field(0.5, ge=0, le=1)


def test_a_bad_setting_is_a_sentence_that_names_it():
    assert settings(Knobs, {"share": 0.2}, "strategy 'x'").share == 0.2
    with pytest.raises(BadInput, match=r"strategy 'x': share = 3 cannot be used \(input should be less than"):
        settings(Knobs, {"share": 3}, "strategy 'x'")
    with pytest.raises(BadInput, match="strategy 'x' has no setting 'shaer'; its settings are: share"):
        settings(Knobs, {"shaer": 1}, "strategy 'x'")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (Budget, {"percent": float("nan")}),
        (Budget, {"percent": float("inf")}),
        (EvaluationProtocol, {"prompts": 0}),
        (EvaluationProtocol, {"threshold": float("nan")}),
        (Recipe, {"pool": "p", "strategy": "s", "seed": -1}),
        (Recipe, {"pool": "p", "strategy": "s", "template": "none"}),
    ],
)
def test_what_no_later_step_could_use_is_refused_at_the_door(kind, asked):
    with pytest.raises(ValidationError):
        kind(**asked)
