"""Sums of the untouched model: computed once per model and text, whatever run asks."""

from __future__ import annotations

import numpy as np
import pytest

from core.lm.tokenise import Encoded, encode_pairs
from core.repair import reference
from core.repair.objectives import Preferences
from core.repair.reference import ReferenceSums
from core.repair.unlearning import Suppression
from core.training.parts import Pair
from core.values import Silent


class Memo:
    def __init__(self):
        self.known, self.puts = {}, []

    def get(self, keys):
        return [self.known.get(key) for key in keys]

    def put(self, keys, values):
        self.puts.append(len(keys))
        self.known |= dict(zip(keys, values, strict=True))


@pytest.fixture
def lm(tiny_lm):
    return tiny_lm()


@pytest.fixture
def texts(lm):
    return encode_pairs(
        lm.tokenizer, ["one", "", "one", "a prompt"], ["some words", "x", "some words", "more"]
    )


def passes(lm):
    seen = []
    lm.model.register_forward_hook(lambda *_: seen.append(1))
    return seen


def test_only_unknown_texts_are_computed_and_equal_ones_once(lm, texts):
    memo, seen = Memo(), passes(lm)
    first = ReferenceSums(lm, memo)
    first.prepare(texts[:2], Silent())
    assert len(seen) == 2 and memo.puts == [2], "one pass per length"
    second = ReferenceSums(lm, memo)
    second.prepare(texts, Silent())
    assert len(seen) == 3 and memo.puts == [2, 1], "the third text equals the first"
    third = ReferenceSums(lm, memo)
    third.prepare(texts, Silent())
    assert len(seen) == 3, "a later run computes nothing"
    assert third.of(texts).tolist() == second.of(texts).tolist()
    assert first.of(texts[:2]).tolist() == third.of(texts[:2]).tolist(), "no bit is lost on the way"


def test_the_values_do_not_depend_on_the_memo(lm, texts):
    with_memo, without = ReferenceSums(lm, Memo()), ReferenceSums(lm)
    for sums in (with_memo, without):
        sums.prepare(texts, Silent())
    assert with_memo.of(texts).tolist() == without.of(texts).tolist()


def test_no_bit_of_a_text_depends_on_the_texts_beside_it(lm):
    """Else what a repair ends with would depend on which runs had filled the memo before."""
    ids = np.random.default_rng(0).integers(1, 257, size=(60, 60))
    texts = [Encoded(tuple(int(i) for i in row[: 10 + n % 50]), 3) for n, row in enumerate(ids)]
    together, apart = ReferenceSums(lm), ReferenceSums(lm)
    together.prepare(texts, Silent())
    for text in texts:
        apart.prepare([text], Silent())
    assert together.of(texts).tolist() == apart.of(texts).tolist()


def test_they_are_the_summed_log_probabilities_of_the_scored_tokens(lm, texts, monkeypatch):
    import torch

    monkeypatch.setattr(reference, "ROWS", 2)
    sums = ReferenceSums(lm, Memo())
    sums.prepare(texts, Silent())
    for text, found in zip(texts, sums.of(texts).tolist(), strict=True):
        logprobs = lm.model(torch.tensor([text.ids])).logits[0].log_softmax(-1).detach()
        slow = sum(float(logprobs[j - 1, text.ids[j]]) for j in range(text.start, len(text.ids)))
        assert found == pytest.approx(slow, rel=1e-4)


def test_the_start_of_scoring_is_part_of_the_key(lm, texts):
    from dataclasses import replace

    memo = Memo()
    sums = ReferenceSums(lm, memo)
    whole = replace(texts[0], start=1)
    sums.prepare([texts[0], whole], Silent())
    assert len(memo.known) == 2 and sums.of([whole]) < sums.of([texts[0]])


def test_dpo_and_npo_share_what_is_known_of_the_bad_texts(lm, texts):
    memo, seen = Memo(), passes(lm)
    pairs = [Pair(0, texts[0], texts[1]), Pair(1, texts[3], texts[1])]
    Preferences(lm, 0.1, memo).prepare(pairs, Silent())
    done = len(seen)
    Suppression(lm, 0.1, memo).prepare(pairs, Silent())
    assert len(seen) == done and sorted(memo.puts) == [3]
    assert all(value.shape == (1,) and value.dtype == "float64" for value in memo.known.values())
