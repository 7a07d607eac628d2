"""Log-probability of a continuation, against one forward pass per token, and what the window does to it."""

from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluation import continued
from core.evaluation.continued import score_continuations, scores_text, text_logits
from core.lm.decoders import RAD, DExperts
from core.lm.tokenise import Encoded, collate
from core.values import Silent

WORDS = st.lists(
    st.sampled_from(["the", "lamp", "old", "bread", "noon", "caf\u00e9"]), min_size=0, max_size=6
)


def slow(lm, context, continuation):
    """Sum, count and greedy of the tokens after the context's, each from a forward pass of its own."""
    head = lm.tokenizer(context, add_special_tokens=False)["input_ids"]
    whole = lm.tokenizer(context + continuation, add_special_tokens=False)["input_ids"]
    target = whole[len(head) :]
    if len(target) > lm.context:
        return 0.0, len(target), False
    seen = (head or [0]) + target
    seen = seen[max(0, len(seen) - lm.context - 1) :]
    total, greedy = 0.0, True
    for at in range(len(seen) - len(target), len(seen)):
        with torch.no_grad():
            logits = lm.model(torch.tensor([seen[:at]])).logits[0, -1].double()
        total += float(logits.log_softmax(0)[seen[at]])
        greedy &= int(logits.argmax()) == seen[at]
    return total, len(target), greedy


@settings(max_examples=40, deadline=None)
@given(context=WORDS, tail=WORDS.filter(bool))
def test_equals_one_pass_per_token_also_where_the_window_cuts_the_context(lm, context, tail):
    left, right = " ".join(context), " " + " ".join(tail)
    expected = slow(lm, left, right)
    row = score_continuations(lm, [left], [right]).iloc[0]
    if expected[1] > lm.context:
        assert row["tokens"] == 0 and np.isnan(row["logprob"])
    else:
        assert row["logprob"] == pytest.approx(expected[0], rel=1e-4, abs=1e-4)
        assert (row["tokens"], row["greedy"]) == expected[1:]


def test_what_the_model_would_say_greedily_is_greedy_and_anything_else_is_not(lm):
    start = lm.tokenizer("the lamp")["input_ids"]
    with torch.no_grad():
        best = int(lm.model(torch.tensor([start])).logits[0, -1].argmax())
    said = lm.tokenizer.decode([best])
    other = lm.tokenizer.decode([(best + 1) % 256 or 1])
    table = score_continuations(lm, ["the lamp"] * 3, [said, other, said + other])
    assert table["greedy"].tolist()[:2] == [True, False]


def test_the_order_and_the_batch_change_nothing(lm, monkeypatch):
    contexts = ["the lamp is", "", "old bread rises by the lamp and the noon " * 2, "noon"]
    tails = [" lit", " bread", " lamp by noon", " old bread"]
    together = score_continuations(lm, contexts, tails)
    monkeypatch.setattr(continued, "TOKENS", 1)
    alone = score_continuations(lm, contexts[::-1], tails[::-1]).iloc[::-1].reset_index(drop=True)
    np.testing.assert_allclose(together["logprob"], alone["logprob"], rtol=1e-5)
    assert together["tokens"].equals(alone["tokens"]) and together["greedy"].equals(alone["greedy"])
    assert together["tokens"].tolist() == [len(lm.tokenizer(t)["input_ids"]) for t in tails]


def test_a_token_across_the_boundary_belongs_to_the_continuation(lm):
    whole = lm.tokenizer("the lamp")["input_ids"]
    row = score_continuations(lm, ["the la"], ["mp"]).iloc[0]
    with torch.no_grad():
        logits = lm.model(torch.tensor([whole[:-1]])).logits[0, -1].double()
    assert row["tokens"] == 1 and row["logprob"] == pytest.approx(
        float(logits.log_softmax(0)[whole[-1]]), 1e-4
    )


def test_nothing_to_score_is_no_number(lm):
    table = score_continuations(lm, ["the", "the"], ["", " bread" * 40])
    assert table["tokens"].tolist() == [0, 0] and table["logprob"].isna().all() and not table["greedy"].any()
    assert len(score_continuations(lm, [], [])) == 0


def test_a_start_token_is_never_cut_off(lm):
    inner = tokenizers.Tokenizer.from_str(lm.tokenizer.backend_tokenizer.to_str())
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<end> $A", special_tokens=[("<end>", 0)]
    )
    tokenizer = type(lm.tokenizer)(tokenizer_object=inner, bos_token="<end>", eos_token="<end>")
    named = replace(lm, tokenizer=tokenizer)
    encoded = continued._encode(named, "old bread rises by the lamp and the noon, by the old lamp", " lamp")
    assert encoded.ids[0] == 0 and len(encoded.ids) == lm.context + 1
    assert encoded.ids[1:] == tuple(
        lm.tokenizer("old bread rises by the lamp and the noon, by the old lamp lamp")["input_ids"][
            -lm.context :
        ]
    )
    assert continued._encode(named, "", " lamp").ids == (0, *lm.tokenizer(" lamp")["input_ids"])


def test_uniform_logits_give_every_token_the_same_surprise(lm, uniform):
    table = score_continuations(uniform, ["the"] * 2, [" lamp", " old bread is"])
    expected = -np.log(lm.model.config.vocab_size) * table["tokens"]
    np.testing.assert_allclose(table["logprob"], expected, rtol=1e-6)


def test_a_decoder_changes_what_the_model_says_of_a_text(lm):
    same = replace(lm, decoder=DExperts(2.0, 0.9, expert=lm, anti=lm))
    other = replace(lm, model=type(lm.model)(lm.model.config).eval())
    steered = replace(lm, decoder=DExperts(1.0, 0.9, expert=other, anti=None))
    plain = score_continuations(lm, ["the lamp"], [" is lit"])
    np.testing.assert_allclose(
        score_continuations(same, ["the lamp"], [" is lit"])["logprob"], plain["logprob"], rtol=1e-5
    )
    batch = collate([Encoded((5, 6, 7), 1)], lm.tokenizer)
    with torch.no_grad():  # base + 1 (expert - base) is the expert
        torch.testing.assert_close(
            text_logits(steered, batch), text_logits(other, batch), rtol=1e-4, atol=1e-4
        )
    assert scores_text(lm) and scores_text(steered) and not scores_text(replace(lm, decoder=RAD(1, 5, True)))


def test_progress_counts_the_texts(lm, monkeypatch):
    monkeypatch.setattr(continued, "TOKENS", 1)
    seen = []

    class Counting(Silent):
        def progress(self, done, total, what):
            seen.append((done, total, what))

    score_continuations(lm, ["the"] * 2, [" lamp", ""], what="words", reporter=Counting())
    assert seen == [(0, 1, "words"), (1, 1, "words")]
