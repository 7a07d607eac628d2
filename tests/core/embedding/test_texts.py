"""Embedding: each distinct text once, and an interrupted run goes on where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.embedding import ENCODERS, embed, encoder_hash
from core.embedding import texts as texts_module
from core.embedding.base import EncoderSpec
from core.errors import BrokenContract, Stopped, UnknownName
from core.values import Params, Silent

DIM = 4


class Letters:
    """Counts the letters a, b, c, and remembers what it was asked."""

    dim = DIM

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray[Any, Any]:
        self.asked += texts
        counts = np.array([[t.count(c) for c in "abc"] + [1] for t in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class StopAfter(Silent):
    """Asks for a stop once so many texts are done."""

    def __init__(self, done: int) -> None:
        self.limit = done

    def progress(self, done: int, total: int, what: str) -> None:
        if done >= self.limit:
            raise Stopped("asked to stop")


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    """A small encoder in the registry, under the name `letters`."""
    list(ENCODERS)  # the registry reads its files first
    made = Letters()
    spec = EncoderSpec("Letters", "test", Params, lambda params, device: made, lambda params: "1")
    monkeypatch.setitem(ENCODERS._specs, "letters", spec)
    monkeypatch.setattr(texts_module, "CHUNK", 2)
    return made


def test_rows_follow_the_texts_and_each_distinct_text_is_read_once(letters: Letters, tmp_path: Path) -> None:
    texts = ["a", "bbb", "a", "cc a", "bbb"]
    rows = embed(texts, "letters", scratch=tmp_path)
    assert rows.dtype == np.float32 and rows.shape == (5, DIM)
    assert (rows == Letters().encode(texts)).all()
    assert letters.asked == ["cc a", "bbb", "a"], "longest first, so that batches hold texts of like length"


def test_empty_texts_stay_zero_and_are_never_read(letters: Letters, tmp_path: Path) -> None:
    rows = embed(["", "a", "  \n"], "letters", scratch=tmp_path)
    assert not rows[[0, 2]].any() and rows[1].any()
    assert letters.asked == ["a"]
    assert embed(["", ""], "letters", scratch=tmp_path).shape == (2, DIM)


def test_goes_on_where_it_stopped(letters: Letters, tmp_path: Path) -> None:
    texts = [c * n for c in "abc" for n in (1, 2, 3)]
    with pytest.raises(Stopped):
        embed(texts, "letters", scratch=tmp_path, reporter=StopAfter(4))
    before = list(letters.asked)
    rows = embed(texts, "letters", scratch=tmp_path)
    assert len(before) == 4 and sorted(letters.asked) == sorted(texts), "no text was read twice"
    assert (rows == Letters().encode(texts)).all()


def test_half_done_work_on_other_texts_is_not_mixed_in(letters: Letters, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        embed(["aaa", "bb", "c"], "letters", scratch=tmp_path, reporter=StopAfter(2))
    other = ["cab", "bb", "a"]
    assert (embed(other, "letters", scratch=tmp_path) == Letters().encode(other)).all()


def test_an_encoder_that_returns_the_wrong_shape_or_nan_is_our_bug(
    letters: Letters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "encode", lambda texts: np.full((len(texts), DIM), np.nan, np.float32))
    with pytest.raises(BrokenContract):
        embed(["a"], "letters", scratch=tmp_path)


def test_hashes_differ_between_encoders_and_need_no_weights(tmp_path: Path) -> None:
    named = {"model": "some/model", "revision": "abc"}
    hashes = {
        encoder_hash("minilm"),
        encoder_hash("sentence_transformer", named),
        encoder_hash("sentence_transformer", {"model": "some/model"}),
    }
    assert len(hashes) == 3
    (tmp_path / "config.json").write_text("{}")
    folder = {"model": str(tmp_path)}
    before = encoder_hash("sentence_transformer", folder)
    (tmp_path / "config.json").write_text("{ }")
    assert encoder_hash("sentence_transformer", folder) != before


def test_an_unknown_encoder_is_named_with_its_neighbour() -> None:
    with pytest.raises(UnknownName, match="minilm"):
        encoder_hash("minilmm")
