"""What every score must promise: direction, unit, NaN for missing text, a sentence for missing tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import MissingInput
from core.scoring import SCORES, score
from core.values import Pool

ROWS = [("hello", "a b c", ""), ("", "b", "x y"), ("only prompt", "", "")]


class Counting:
    """A scorer that says one tenth of the words."""

    name, hash, labels = "counting", "0", ("toxicity",)

    def score(self, texts: Any, reporter: Any = None, batch: int = 64) -> np.ndarray:
        return np.array([[len(t.split()) / 10] for t in texts], dtype=np.float32).reshape(-1, 1)

    def toxicity(self, texts: Any, reporter: Any = None) -> np.ndarray:
        return self.score(texts)[:, 0]


@pytest.mark.parametrize("name", list(SCORES))
def test_one_finite_number_per_row_and_nan_where_there_is_no_answer(
    name: str, pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path]
) -> None:
    spec = SCORES[name]
    assert spec.direction.startswith("higher is ") and spec.unit
    found = score(name, pool_of(ROWS), scorer=Counting(), model=str(tiny_folder()))
    assert found.dtype == np.float64 and found.shape == (3,)
    assert np.isfinite(found[:2]).all() and np.isnan(found[2])
    again = score(name, pool_of(ROWS), scorer=Counting(), model=str(tiny_folder()))
    assert np.array_equal(found, again, equal_nan=True)
    assert np.isnan(score(name, pool_of(ROWS[2:]), scorer=Counting(), model=str(tiny_folder()))).all()


@pytest.mark.parametrize("name", list(SCORES))
def test_missing_tools_are_a_sentence(name: str, pool_of: Callable[..., Pool]) -> None:
    if SCORES[name].needs:
        with pytest.raises(MissingInput, match=f"needs a .*{SCORES[name].needs[0]}"):
            score(name, pool_of(ROWS))
    else:
        assert len(score(name, pool_of(ROWS))) == 3


def test_toxicity_scores_the_text_that_was_asked_for(pool_of: Callable[..., Pool]) -> None:
    def of(text: str) -> list[float]:
        return score("toxicity", pool_of(ROWS), {"text": text}, scorer=Counting()).tolist()

    assert of("answer") == pytest.approx([0.3, 0.1, np.nan], nan_ok=True)
    assert of("rejected") == pytest.approx([np.nan, 0.2, np.nan], nan_ok=True)
    assert of("prompt") == pytest.approx([0.1, np.nan, 0.2], nan_ok=True)
    only_rejected = pool_of([("p", "", "x y z")])
    assert score("toxicity", only_rejected, scorer=Counting()).tolist() == pytest.approx([0.3])
    response = score("toxicity", only_rejected, {"text": "response"}, scorer=Counting())
    assert np.isnan(response).all()


def test_length_counts_words(pool_of: Callable[..., Pool]) -> None:
    pool = pool_of([("", "one  two\nthree", ""), ("", "", "four five"), ("", "", "")])
    assert score("length", pool).tolist() == pytest.approx([3, 2, np.nan], nan_ok=True)
