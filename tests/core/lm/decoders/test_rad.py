"""RAD against the published rule, the text its reward is shown, and how often the reward is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import BadInput, BrokenContract
from core.lm.decoders import RAD, with_reward
from core.lm.generate import _stops, _uniforms, sample
from core.lm.logprobs import text_logprobs
from core.lm.tokenise import collate, encode_pairs

PROMPTS = ["the lamp", "", "a longer prompt than those", "the lamp"]


def vowels(texts):
    """A toxicity that prefers no text by itself, and leaves [0, 1] on both sides."""
    return [1.5 * sum(c in "aeiou" for c in t) / max(1, len(t)) - 0.1 for t in texts]


@pytest.fixture
def lm(tiny_lm):
    return with_reward(replace(tiny_lm(), decoder=RAD(10.0, 5, True)), vowels)


def test_case_f12():
    import torch

    moved = RAD(10.0, 3, True).moved(torch.tensor([[2.0, 1.5, 0.0]]), torch.tensor([[0.9, 0.1, 0.2]]))
    assert moved[0].tolist() == pytest.approx([3, 10.5, 8])
    assert moved[0].softmax(-1).tolist() == pytest.approx([0.000511, 0.923670, 0.075819], abs=1e-6)


def test_a_fourth_token_is_never_drawn(tiny_lm):
    import torch

    lm = with_reward(replace(tiny_lm(), decoder=RAD(10.0, 3, True)), lambda texts: [0.5] * len(texts))
    plain = replace(lm, decoder=None)
    with torch.no_grad():
        top = plain.model(torch.tensor([lm.tokenizer("the lamp").input_ids])).logits[0, -1].topk(3).indices
    found = set(sample(lm, ["the lamp"], samples=400, new_tokens=1, temperature=50.0)[0])
    assert found == {lm.tokenizer.decode([i], skip_special_tokens=True) for i in top.tolist()}


@pytest.mark.parametrize(("score", "same"), [(1.3, 1.0), (-0.4, 0.0)])
def test_a_reward_outside_its_range_is_cut_to_it(score, same):
    import torch

    one, two = (RAD(10.0, 1, True).moved(torch.zeros(1, 1), torch.full((1, 1), s)) for s in (score, same))
    assert torch.equal(one, two) and float(one) == 10 * (1 - same)


def test_inverse_off_steers_toward_the_score():
    import torch

    moved = RAD(10.0, 2, False).moved(torch.zeros(1, 2), torch.tensor([[0.2, 0.9]]))
    assert moved[0].tolist() == pytest.approx([2, 9])


def slow(lm, prompt, number, *, greedy=False, temperature=1.0, new_tokens=6):
    """One row, no cache, one text per call of the reward."""
    import torch

    rad = lm.decoder
    ids = lm.tokenizer(prompt)["input_ids"][-32:] or [lm.tokenizer.bos_token_id]
    new = []
    for u in _uniforms([prompt], [(0, number)], new_tokens, 0)[0]:
        z = lm.model(torch.tensor([ids + new])).logits[0, -1].double().tolist()
        top = sorted(range(len(z)), key=lambda i: -z[i])[: rad.k]
        q = {}
        for token in top:
            text = lm.tokenizer.decode([*ids, *new, token], skip_special_tokens=True)
            score = min(1.0, max(0.0, vowels([text])[0]))
            q[token] = np.exp((z[token] + rad.beta * (1 - score)) / temperature)
        if greedy:
            chosen = max(q, key=lambda i: q[i])
        else:
            aim, passed = u * sum(q.values()), 0.0
            for chosen in sorted(q):
                passed += q[chosen]
                if passed > aim:
                    break
        if chosen in _stops(lm):
            break
        new.append(chosen)
    return lm.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("settings", [{}, {"greedy": True}, {"temperature": 3.0}])
def test_generation_equals_the_slow_loop(lm, settings):
    import torch

    fast = sample(lm, PROMPTS, samples=3, new_tokens=6, batch=5, **settings)
    with torch.no_grad():
        assert fast == [[slow(lm, p, s, **settings) for s in range(3)] for p in PROMPTS]
    plain = sample(replace(lm, decoder=None), PROMPTS, samples=3, new_tokens=6, **settings)
    assert (fast != plain) or settings.get("greedy")


def test_rows_that_end_early_leave_the_others_their_own_text(lm):
    import torch

    letters = "".join(text for row in sample(lm, PROMPTS, samples=3, new_tokens=6) for text in row)
    common = max(set(letters) - {"\ufffd"}, key=letters.count)
    lm.model.generation_config.eos_token_id = lm.tokenizer(common).input_ids
    fast = sample(lm, PROMPTS, samples=6, new_tokens=6)
    lengths = {len(text) for row in fast for text in row}
    assert len(lengths) > 2, "or no row was dropped"
    with torch.no_grad():
        assert fast == [[slow(lm, p, s) for s in range(6)] for p in PROMPTS]


def test_a_prompts_samples_depend_neither_on_its_company_nor_on_the_batch(lm):
    together = sample(lm, PROMPTS, samples=4, new_tokens=6)
    assert together == sample(lm, PROMPTS, samples=4, new_tokens=6, top_p=0.1)
    assert together[0] == together[3]
    for batch in (1, 3):
        assert sample(lm, PROMPTS[::-1], samples=4, new_tokens=6, batch=batch)[::-1] == together


def test_it_lowers_what_it_steers_away_from(lm):
    def mean(decoder):
        texts = sample(replace(lm, decoder=decoder), PROMPTS[:3], samples=30, new_tokens=12)
        return np.mean([vowels([t])[0] for row in texts for t in row if t])

    assert mean(lm.decoder) < mean(replace(lm.decoder, beta=0.0)) < mean(replace(lm.decoder, inverse=False))


def test_each_text_is_asked_for_once_and_all_of_a_step_together(tiny_lm):
    asked = []

    def reward(texts):
        asked.append(list(texts))
        return vowels(texts)

    lm = with_reward(replace(tiny_lm(), decoder=RAD(10.0, 5, True)), reward)
    first = sample(lm, ["the lamp", "the lamb"], samples=6, new_tokens=4)
    assert len(asked) == 4 and len(asked[0]) <= 2 * 5  # twelve rows, two prompts, and no text twice
    flat = [text for texts in asked for text in texts]
    assert len(flat) == len(set(flat)) and all(t.startswith("the lam") for t in flat)
    assert sample(lm, ["the lamp", "the lamb"], samples=6, new_tokens=4) == first and len(asked) == 4


def test_the_reward_reads_whole_letters_where_a_token_is_half_of_one(tiny_lm):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({"<end>": 0, **{c: i + 1 for i, c in enumerate(alphabet)}}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    import torch

    from core.lm.decoders.rad import _Reader

    first, second = tokenizer("é").input_ids
    assert tokenizer.decode([second]) == "�"  # what a token alone would be read as
    reader = _Reader(RAD(1.0, 2, True), None, vowels, tokenizer)
    reader._ids = torch.tensor([[*tokenizer("caf").input_ids, first]])
    end = tokenizer.eos_token_id
    assert reader._texts(torch.tensor([[second, end]])) == ["café", "caf�"]


def test_a_text_that_cannot_be_scored_fails_its_own_row_only(tiny_lm):
    def reward(texts):
        return [np.nan if t.startswith("broken") else 0.2 for t in texts]

    lm = with_reward(replace(tiny_lm(), decoder=RAD(10.0, 5, True)), reward)
    broken, fine = sample(lm, ["broken lamp", "the old lamp"], samples=2)
    assert broken == ["", ""] and all(fine)


def test_a_reward_of_the_wrong_length_is_our_bug(tiny_lm):
    lm = with_reward(replace(tiny_lm(), decoder=RAD(10.0, 5, True)), lambda texts: [0.1])
    with pytest.raises(BrokenContract, match=r"for \d texts"):
        sample(lm, ["the lamp"])


def test_given_text_is_refused_in_a_sentence(lm):
    batch = collate(encode_pairs(lm.tokenizer, ["the"], ["lamp"]), lm.tokenizer)
    with pytest.raises(BadInput, match="no probability"):
        text_logprobs(lm, batch)


def test_k_larger_than_the_vocabulary_takes_all_of_it(lm):
    whole = replace(lm, decoder=replace(lm.decoder, k=10**6, beta=0.0))
    plain = replace(lm, decoder=None)
    assert sample(whole, PROMPTS[:1], samples=2, new_tokens=2) == sample(
        plain, PROMPTS[:1], samples=2, new_tokens=2, top_p=1.0
    )
