"""DExperts against the published rule, step by step, and the distribution it gives to given text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.lm.decoders import DExperts
from core.lm.generate import _uniforms, sample
from core.lm.load import load_model
from core.lm.logprobs import text_logits, text_logprobs, token_logprobs
from core.lm.tokenise import collate, encode_pairs

PROMPTS = ["the lamp", "", "a longer prompt than those", "the lamp"]


@pytest.fixture
def lm(dexperts_folder):
    return load_model(str(dexperts_folder))


def numbers(*rows):
    import torch

    return [torch.tensor([row]) for row in rows]


def test_case_f13():
    rows = numbers([2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.5, 0.5, 0.0])
    combined = DExperts(2.0, 1.0, "expert", "anti").combine(rows)
    assert combined[0].tolist() == pytest.approx([-1, 2, 0])
    assert combined[0].softmax(-1).tolist() == pytest.approx([0.042010, 0.843795, 0.114195], abs=1e-6)


def test_the_nucleus_is_that_of_the_base_alone_and_comes_first():
    rows = numbers([2.0, 1.0, 0.0], [0.0, 1.0, 9.0], [1.5, 0.5, 0.0])  # masses .665 .245 .090
    for top_p, kept in ((0.5, [0]), (0.7, [0, 1]), (0.9, [0, 1]), (0.95, [0, 1, 2])):
        found = DExperts(2.0, top_p, "expert", "anti").combine(rows)[0]
        assert found.isfinite().nonzero()[:, 0].tolist() == kept


def test_the_base_stands_in_for_a_side_that_is_missing_before_it_is_filtered():
    base, side = numbers([2.0, 1.0, 0.0], [0.0, 1.0, 9.0])
    only_anti = DExperts(2.0, 0.5, None, "anti").combine([base, side])
    assert only_anti[0].tolist() == pytest.approx([2 + 2 * (2 - 0), -float("inf"), -float("inf")])
    only_expert = DExperts(2.0, 0.7, "expert", None).combine([base, side])
    assert only_expert[0].tolist() == pytest.approx([2 + 2 * (0 - 2), 1, -float("inf")])


def slow(lm, prompt, number, *, temperature=1.0, greedy=False, new_tokens=8):
    """One row, no cache, the nucleus in plain Python; draws in vocabulary order."""
    import torch

    decoder = lm.decoder
    ids = lm.tokenizer(prompt)["input_ids"][-32:] or [lm.tokenizer.bos_token_id]
    new = []
    for u in _uniforms([prompt], [(0, number)], new_tokens, 0)[0]:
        given = torch.tensor([ids + new])
        base, expert, anti = (
            one.model(given).logits[0, -1].double() for one in (lm, decoder.expert, decoder.anti)
        )
        p = base.softmax(0).tolist()
        mass, kept = 0.0, set()
        for token in sorted(range(len(p)), key=lambda i: -p[i]):
            kept.add(token)
            mass += p[token]
            if mass >= decoder.top_p:
                break
        z = base + decoder.alpha * (expert - anti)
        q = (z / temperature).exp().tolist()
        if greedy:
            chosen = max(kept, key=lambda i: q[i])
        else:
            aim, passed = u * sum(q[i] for i in kept), 0.0
            for chosen in sorted(kept):
                passed += q[chosen]
                if passed > aim:
                    break
        if chosen == lm.tokenizer.eos_token_id:
            break
        new.append(chosen)
    return lm.tokenizer.decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("settings", [{}, {"temperature": 2.0}, {"greedy": True}])
def test_generation_equals_the_slow_loop(lm, settings):
    import torch

    lm = replace(lm, decoder=replace(lm.decoder, top_p=0.95))
    fast = sample(lm, PROMPTS, samples=3, new_tokens=8, batch=5, **settings)
    with torch.no_grad():
        assert fast == [[slow(lm, p, s, **settings) for s in range(3)] for p in PROMPTS]
    assert len({text for row in fast for text in row}) > 2


def test_sampling_filters_no_more_and_the_prompts_samples_are_its_own(lm):
    together = sample(lm, PROMPTS, samples=4)
    assert together == sample(lm, PROMPTS, samples=4, top_p=0.2)
    assert together[0] == together[3] != together[1]
    for batch in (1, 3):
        assert sample(lm, PROMPTS[::-1], samples=4, batch=batch)[::-1] == together
    assert together != sample(replace(lm, decoder=None), PROMPTS, samples=4)


def test_alpha_zero_draws_from_the_bases_nucleus_alone(lm):
    still = replace(lm, decoder=replace(lm.decoder, alpha=0.0, top_p=0.3))
    plain = replace(lm, decoder=None)
    assert sample(still, PROMPTS, greedy=True) == sample(plain, PROMPTS, greedy=True)
    n = 1500
    ours, theirs = (
        sample(one, ["the lamp"], samples=n, new_tokens=1, top_p=0.3)[0] for one in (still, plain)
    )
    assert set(ours) == set(theirs)
    for text in set(ours):
        assert ours.count(text) / n == pytest.approx(theirs.count(text) / n, abs=0.06)


def test_given_text_is_scored_by_the_combined_logits_without_the_nucleus(lm):
    import torch

    batch = collate(encode_pairs(lm.tokenizer, ["the", "", "a"], ["lamp is lit", "so", ""]), lm.tokenizer)
    with torch.no_grad():
        found = text_logprobs(lm, batch)
        parts = [
            one.model(input_ids=batch.ids).logits.double() for one in (lm, lm.decoder.expert, lm.decoder.anti)
        ]
    z = (parts[0] + 1.5 * (parts[1] - parts[2])).log_softmax(-1)
    slow_ones = z[:, :-1].gather(2, batch.ids[:, 1:, None])[..., 0] * batch.response[:, 1:]
    torch.testing.assert_close(found[:, 1:].double(), slow_ones, atol=2e-3, rtol=1e-4)
    assert torch.isfinite(found).all() and not found[~batch.response].any()
    total = text_logits(lm, batch).log_softmax(-1).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_a_plain_model_is_scored_as_before(lm):
    import torch

    plain = replace(lm, decoder=None)
    batch = collate(encode_pairs(lm.tokenizer, ["the"], ["lamp is lit"]), lm.tokenizer)
    with torch.no_grad():
        assert torch.equal(text_logprobs(plain, batch), token_logprobs(plain.model, batch))


def test_a_broken_side_model_gives_failed_texts_not_noise(lm):
    import torch

    with torch.no_grad():
        lm.decoder.anti.model.transformer.ln_f.weight.fill_(float("nan"))
    assert sample(lm, ["the lamp"], samples=2) == [["", ""]]
