"""Embedding: each distinct text once, batches by tokens; an interrupted run gives the very same vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.embedding import ENCODERS, embed, encoder_hash
from core.embedding import texts as texts_module
from core.embedding.base import EncoderSpec
from core.errors import BrokenContract, Stopped, UnknownName
from core.values import Params, Silent

DIM = 4
BUDGET = 12


class Letters:
    """Counts the letters a, b, c, and remembers what it was asked; the last number hangs on the batch."""

    dim = DIM
    budget = BUDGET
    facts = {"precision": "exact"}

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def lengths(self, texts: list[str]) -> np.ndarray[Any, Any]:
        return np.array([len(t) for t in texts])

    def encode(self, texts: list[str]) -> np.ndarray[Any, Any]:
        self.asked.append(texts)
        counts = np.array([[t.count(c) for c in "abc"] + [len(texts)] for t in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def plain(texts: list[str]) -> np.ndarray[Any, Any]:
    """The part of the vectors that does not hang on the batch."""
    counts = np.array([[t.count(c) for c in "abc"] for t in texts], dtype=np.float64)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def letters_part(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return rows[:, :3] / np.linalg.norm(rows[:, :3], axis=1, keepdims=True)


class StopAfter(Silent):
    """Asks for a stop once so many texts are done."""

    def __init__(self, done: int) -> None:
        self.limit = done

    def progress(self, done: int, total: int, what: str) -> None:
        if done >= self.limit and what == "texts embedded":
            raise Stopped("asked to stop")


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    """A small encoder in the registry, under the name `letters`."""
    list(ENCODERS)  # the registry reads its files first
    made = Letters()
    spec = EncoderSpec("Letters", "test", Params, lambda params, device, sample: made, lambda params: "1")
    monkeypatch.setitem(ENCODERS._specs, "letters", spec)
    monkeypatch.setattr(texts_module, "CHUNK", 8)
    return made


MANY = [c * n for c in "abc" for n in range(1, 12)]


def test_rows_follow_the_texts_and_each_distinct_text_is_read_once(letters: Letters, tmp_path: Path) -> None:
    texts = ["a", "bbb", "a", "cc a", "bbb"]
    found = embed(texts, "letters", scratch=tmp_path)
    assert found.vectors.dtype == np.float32 and found.vectors.shape == (5, DIM)
    assert letters_part(found.vectors) == pytest.approx(plain(texts), abs=1e-6)
    assert sorted(t for batch in letters.asked for t in batch) == ["a", "bbb", "cc a"]
    assert found.facts == {"distinct_texts": 3, "precision": "exact"}


def test_empty_texts_stay_zero_and_are_never_read(letters: Letters, tmp_path: Path) -> None:
    rows = embed(["", "a", "  \n"], "letters", scratch=tmp_path).vectors
    assert not rows[[0, 2]].any() and rows[1].any()
    assert letters.asked == [["a"]]
    assert embed(["", ""], "letters", scratch=tmp_path).vectors.shape == (2, DIM)


def test_batches_hold_no_more_tokens_than_the_budget_and_texts_of_like_length(
    letters: Letters, tmp_path: Path
) -> None:
    embed(MANY, "letters", scratch=tmp_path)
    assert all(len(b) * len(b[0]) <= BUDGET or len(b) == 1 for b in letters.asked)
    assert all([len(t) for t in b] == sorted((len(t) for t in b), reverse=True) for b in letters.asked)
    assert len(letters.asked) < len(MANY), "short texts share a batch"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 40), st.integers(0, 5))
def test_batches_hold_every_text_once_longest_first_chunk_by_chunk(
    lengths: list[int], budget: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(lengths))
    sizes = np.array(lengths)
    batches = texts_module._batches(order, sizes, budget)
    work = np.concatenate(batches)
    assert sorted(work) == list(range(len(lengths)))
    for start in range(0, len(order), texts_module.CHUNK):
        chunk = slice(start, start + texts_module.CHUNK)
        assert set(work[chunk]) == set(order[chunk]), "what is done after a chunk is a random sample"
        assert (np.diff(sizes[work[chunk]]) <= 0).all()
    assert all(len(b) * sizes[b].max() <= budget or len(b) == 1 for b in batches)


def test_the_order_is_random_and_hangs_on_the_texts_alone(letters: Letters, tmp_path: Path) -> None:
    embed(MANY, "letters", scratch=tmp_path / "a")
    first = [t for b in letters.asked for t in b]
    letters.asked.clear()
    embed(MANY[::-1] * 2, "letters", scratch=tmp_path / "b")
    assert [t for b in letters.asked for t in b] == first
    assert len({t[0] for t in first[:8]}) == 3, "the first chunk holds texts of all kinds"


@pytest.mark.parametrize("stop", [1, 9, 20, 32])
def test_goes_on_where_it_stopped_with_the_very_same_vectors(
    letters: Letters, tmp_path: Path, stop: int
) -> None:
    whole = embed(MANY, "letters", scratch=tmp_path / "whole").vectors
    letters.asked.clear()
    with pytest.raises(Stopped):
        embed(MANY, "letters", scratch=tmp_path / "a", reporter=StopAfter(stop))
    assert len(letters.asked) < len(MANY)
    rows = embed(MANY, "letters", scratch=tmp_path / "a").vectors
    assert sorted(t for b in letters.asked for t in b) == sorted(MANY), "no text was read twice"
    assert (rows == whole).all(), "not even the number that hangs on the batch differs"


def test_half_done_work_on_other_texts_is_not_mixed_in(letters: Letters, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        embed(["aaa", "bb", "c"], "letters", scratch=tmp_path, reporter=StopAfter(1))
    other = ["cab", "bb", "a"]
    assert letters_part(embed(other, "letters", scratch=tmp_path).vectors) == pytest.approx(
        plain(other), abs=1e-6
    )


def test_a_watcher_sees_the_vectors_so_far_and_where_each_row_is_among_them(
    letters: Letters, tmp_path: Path
) -> None:
    texts = [*MANY, "", MANY[0]]
    seen: list[int] = []

    def watch(vectors: np.ndarray[Any, Any], place: np.ndarray[Any, Any]) -> None:
        known = (place >= 0) & (place < len(vectors))
        seen.append(len(vectors))
        assert place[33] == -1 and place[34] == place[0]
        rows = np.flatnonzero(known)
        right = plain([texts[r] for r in rows])
        assert letters_part(np.asarray(vectors)[place[rows]]) == pytest.approx(right, abs=1e-6)

    embed(texts, "letters", scratch=tmp_path, watch=watch)
    assert seen == np.cumsum([len(b) for b in letters.asked]).tolist() and seen[-1] == len(MANY)


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
