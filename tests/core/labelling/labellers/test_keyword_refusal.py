"""The keyword labeller: yes and no from the answer, not_run without one, and its weakness is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import BrokenContract, UnknownName
from core.labelling import LABELLERS, label
from core.labelling.base import LabellerSpec
from core.values import Params, Pool


def test_judges_the_answer_and_not_the_prompt(pool_of: Callable[..., Pool]) -> None:
    pool = pool_of(
        [
            ("I cannot cook. Help!", "First you boil the water.", ""),
            ("How is it done?", "I'm sorry, but I can't help with that.", "First you do it."),
            ("How is it done?", "", "I will not tell you."),
            ("How is it done?", "", ""),
        ]
    )
    found = label("keyword_refusal", pool)
    assert list(found) == ["refusal"]
    assert found["refusal"].tolist() == ["no", "yes", "yes", "not_run"]


def test_its_weakness_is_part_of_what_the_registry_knows() -> None:
    assert "weaker" in LABELLERS["keyword_refusal"].weak and LABELLERS["keyword_refusal"].flags == (
        "refusal",
    )


def test_a_labeller_that_guesses_other_values_is_our_bug(
    pool_of: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    list(LABELLERS)

    def maybe(pool: Pool, params: Params, reporter: object) -> dict[str, np.ndarray]:
        return {"refusal": np.array(["maybe"], dtype=object)}

    spec = LabellerSpec("Maybe", "test", ("refusal",), "", Params, maybe)
    monkeypatch.setitem(LABELLERS._specs, "maybe", spec)
    with pytest.raises(BrokenContract):
        label("maybe", pool_of([("a", "b", "")]))
    with pytest.raises(UnknownName):
        label("keyword_refusals", pool_of([("a", "b", "")]))
