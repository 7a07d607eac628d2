"""Batch log-probabilities against a slow obvious reference: one text at a time, no padding, no masks."""

from __future__ import annotations

import pytest

from core.lm.logprobs import scored_logits, sequence_sums, token_logprobs
from core.lm.tokenise import Encoded, collate, encode_pairs

PROMPTS = ["The lamp", "", "A much longer prompt than the others", "x"]
RESPONSES = ["glows softly", "no prompt here", "ok", ""]


def reference(lm, text: Encoded) -> list[float]:
    import torch

    ids = torch.tensor([text.ids])
    with torch.no_grad():
        logprobs = lm.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].log_softmax(-1)
    return [float(logprobs[j - 1, text.ids[j]]) for j in range(text.start, len(text.ids))]


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gpt_neox", "llama"])
def test_a_padded_batch_gives_what_each_text_gives_alone(tiny_lm, kind):
    import torch

    lm = tiny_lm(kind)
    texts = encode_pairs(lm.tokenizer, PROMPTS, RESPONSES, end_token=True)
    batch = collate(texts, lm.tokenizer)
    with torch.no_grad():
        found = token_logprobs(lm.model, batch)
    assert found.shape == batch.ids.shape and found.dtype == torch.float32
    for row, text in enumerate(texts):
        assert found[row][batch.response[row]].tolist() == pytest.approx(reference(lm, text), abs=2e-4)
    assert not found[~batch.response].any()
    assert sequence_sums(found).tolist() == pytest.approx([sum(reference(lm, t)) for t in texts], abs=1e-3)


def test_the_output_head_sees_the_scored_positions_only(tiny_lm):
    lm = tiny_lm("gpt2")
    batch = collate(encode_pairs(lm.tokenizer, PROMPTS, RESPONSES), lm.tokenizer)
    rows = []
    watch = lm.model.lm_head.register_forward_hook(lambda module, args, out: rows.append(out.shape[1]))
    logits = scored_logits(lm.model, batch)
    watch.remove()
    assert rows == [int(batch.response.sum())] == [len(logits)]
    import torch

    plain = lm.model(input_ids=batch.ids, attention_mask=torch.ones_like(batch.ids)).logits
    assert plain.shape[:2] == batch.ids.shape, "the hook must be gone afterwards"


def test_gradients_equal_those_of_the_full_forward_pass(tiny_lm):
    import torch

    lm = tiny_lm("gpt2")
    batch = collate(encode_pairs(lm.tokenizer, PROMPTS[:3], RESPONSES[:3]), lm.tokenizer)
    weights = list(lm.model.parameters())
    fast = torch.autograd.grad(token_logprobs(lm.model, batch).sum(), weights)
    logits = lm.model(input_ids=batch.ids, attention_mask=batch.attention.long()).logits
    full = logits[:, :-1].log_softmax(-1).gather(2, batch.ids[:, 1:, None])[..., 0]
    slow = torch.autograd.grad((full * batch.response[:, 1:]).sum(), weights)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_a_batch_with_nothing_scored_gives_zeros_and_no_nan(tiny_lm):
    lm = tiny_lm("gpt2")
    batch = collate(encode_pairs(lm.tokenizer, ["p", "q"], ["", ""]), lm.tokenizer)
    found = token_logprobs(lm.model, batch)
    assert not found.any()
    found.sum().backward()
