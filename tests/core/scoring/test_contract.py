"""What every score must promise: direction, unit, NaN for missing text, sentences, resumable work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadInput, MissingInput, Stopped
from core.scoring import SCORES, score
from core.values import Pool, Silent

ROWS = [("hello", "a b c", "x"), ("hi", "b", "x y"), ("", "", "")]
ZERO = {"tokens"}  # what has no text has no tokens: a number, and not an unknown one
STREAMED = [name for name in SCORES if {"scorer", "model"} & set(SCORES[name].needs)]


class Watching(Silent):
    """Keeps every progress; raises Stopped once `limit` are done."""

    def __init__(self, limit: float = np.inf) -> None:
        self.limit = limit
        self.seen: list[tuple[int, int]] = []

    def progress(self, done: int, total: int, what: str) -> None:
        self.seen.append((done, total))
        if done >= self.limit:
            raise Stopped("stopped")


@pytest.mark.parametrize("name", list(SCORES))
def test_one_finite_number_per_row_and_nan_where_there_is_no_text(
    name: str, pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path], counting: Any
) -> None:
    spec = SCORES[name]
    assert spec.direction.startswith("higher is ") and spec.unit and spec.title and spec.source
    found = score(name, pool_of(ROWS), scorer=counting, model=str(tiny_folder()))
    assert found.dtype == np.float64 and found.shape == (3,)
    assert np.isfinite(found[:2]).all() and (found[2] == 0 if name in ZERO else np.isnan(found[2]))
    again = score(name, pool_of(ROWS), scorer=counting, model=str(tiny_folder()))
    assert np.array_equal(found, again, equal_nan=True)
    empty = score(name, pool_of(ROWS[2:]), scorer=counting, model=str(tiny_folder()))
    assert empty.tolist() == [0.0] if name in ZERO else np.isnan(empty).all()
    assert score(name, pool_of([]), scorer=counting, model=str(tiny_folder())).shape == (0,)


@pytest.mark.parametrize("name", list(SCORES))
def test_every_setting_has_a_default_and_a_help(name: str) -> None:
    for field in SCORES[name].params.model_fields.values():
        assert field.description and not field.is_required()


@pytest.mark.parametrize("name", list(SCORES))
def test_missing_tools_are_a_sentence(name: str, pool_of: Callable[..., Pool]) -> None:
    if SCORES[name].needs:
        with pytest.raises(MissingInput, match=f"needs a .*{SCORES[name].needs[0]}"):
            score(name, pool_of(ROWS))
    else:
        assert len(score(name, pool_of(ROWS))) == 3


def test_a_bad_setting_is_a_sentence(pool_of: Callable[..., Pool]) -> None:
    with pytest.raises(BadInput, match="score 'loss' has no setting 'tokens'; its settings are: prompt_tok"):
        score("loss", pool_of(ROWS), {"tokens": 3})
    with pytest.raises(BadInput, match="score 'grand': beta = 0 cannot be used"):
        score("grand", pool_of(ROWS), {"beta": 0})


@pytest.mark.parametrize("name", STREAMED)
def test_stopped_half_way_the_next_call_does_only_the_rest(
    name: str, pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path], counting: Any, tmp_path: Path
) -> None:
    words = [f"word{i} " * (1 + i % 5) for i in range(200)]
    pool = pool_of([(f"p{i}", text, text + "more") for i, text in enumerate(words)])
    batch = {"batch": 16} if "batch" in SCORES[name].params.model_fields else {}

    def run(limit: float, scratch: Path | None) -> tuple[np.ndarray | None, list[tuple[int, int]]]:
        watching = Watching(limit)
        try:
            values = score(
                name,
                pool,
                batch,
                scorer=counting,
                model=str(tiny_folder()),
                reporter=watching,
                scratch=scratch,
            )
        except Stopped:
            return None, watching.seen
        return values, watching.seen

    whole, seen = run(np.inf, None)
    total = seen[-1][1]
    assert seen[-1] == (total, total) and [done for done, _ in seen] == sorted({done for done, _ in seen})
    nothing, first = run(total / 2, tmp_path)
    rest, second = run(np.inf, tmp_path)
    assert nothing is None and first + second[1:] == seen and second[0] == first[-1]
    assert np.array_equal(rest, whole)


def test_half_done_work_of_other_settings_is_not_taken(
    pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    pool = pool_of([("p", f"answer {i}", f"rejected {i}") for i in range(8)])
    model = str(tiny_folder())
    for name, params in (("loss", {}), ("loss", {"response_tokens": 3}), ("el2n", {}), ("margin", {})):
        with pytest.raises(Stopped):
            score(name, pool, {**params, "batch": 1}, model=model, reporter=Watching(4), scratch=tmp_path)
        other = {**params, "prompt_tokens": 1, "batch": 1}
        assert np.array_equal(
            score(name, pool, other, model=model, scratch=tmp_path), score(name, pool, other, model=model)
        )


def test_toxicity_scores_the_text_that_was_asked_for(pool_of: Callable[..., Pool], counting: Any) -> None:
    rows = [("hello", "a b c", ""), ("", "b", "x y"), ("only prompt", "", "")]

    def of(text: str) -> list[float]:
        return score("toxicity", pool_of(rows), {"text": text}, scorer=counting).tolist()

    assert of("answer") == pytest.approx([0.3, 0.1, np.nan], nan_ok=True)
    assert of("rejected") == pytest.approx([np.nan, 0.2, np.nan], nan_ok=True)
    assert of("prompt") == pytest.approx([0.1, np.nan, 0.2], nan_ok=True)
    only_rejected = pool_of([("p", "", "x y z")])
    assert score("toxicity", only_rejected, scorer=counting).tolist() == pytest.approx([0.3])
    response = score("toxicity", only_rejected, {"text": "response"}, scorer=counting)
    assert np.isnan(response).all()


def test_a_scorer_reads_each_distinct_text_once_and_the_longest_first(
    pool_of: Callable[..., Pool], counting: Any
) -> None:
    pool = pool_of([("", "b", ""), ("", "a b c", ""), ("", "b", ""), ("", "  ", "")])
    found = score("toxicity", pool, scorer=counting)
    assert found.tolist() == pytest.approx([0.1, 0.3, 0.1, np.nan], nan_ok=True)
    assert counting.asked == ["a b c", "b"]


def test_length_counts_words(pool_of: Callable[..., Pool]) -> None:
    pool = pool_of([("", "one  two\nthree", ""), ("", "", "four five"), ("", "", "")])
    assert score("length", pool).tolist() == pytest.approx([3, 2, np.nan], nan_ok=True)
