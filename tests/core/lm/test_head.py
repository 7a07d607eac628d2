"""What the head is given and says: the rows that are scored, and a refusal where more follows the head."""

import pytest

from core.errors import BadModel
from core.lm.head import read_head
from core.lm.tokenise import collate, encode_pairs


@pytest.fixture
def batch_of():
    def make(lm):
        texts = encode_pairs(lm.tokenizer, ["ab", "a longer prompt"], ["xyz", "w"], context=lm.context)
        return collate(texts, lm.tokenizer)

    return make


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gpt_neox", "llama"])
def test_the_head_makes_the_logits_from_the_hidden_states(kind, tiny_lm, batch_of):
    import torch

    lm = tiny_lm(kind)
    batch = batch_of(lm)
    with torch.no_grad():
        view = read_head(lm.model, batch)
        whole = lm.model(batch.ids, output_hidden_states=True)
    scored = batch.response[:, 1:]
    assert torch.allclose(view.hidden, whole.hidden_states[-1][:, :-1][scored], atol=1e-5)
    weight = lm.model.get_output_embeddings().weight.detach()
    assert torch.allclose(view.logits, view.hidden @ weight.T, atol=1e-4)
    assert view.hidden.shape == (int(batch.response.sum()), 16) and not view.bias
    assert not lm.model.get_output_embeddings()._forward_hooks


def test_logits_that_are_changed_after_the_head_are_refused(tiny_lm, batch_of):
    lm = tiny_lm()

    def scale(module, given, output):
        output.logits = output.logits * 2
        return output

    lm.model.register_forward_hook(scale)
    with pytest.raises(BadModel, match=r"scales or caps its logits.*take scope 'last_block' or 'all'"):
        read_head(lm.model, batch_of(lm))


def test_a_model_without_a_head_is_refused(tiny_lm, batch_of):
    import torch

    with pytest.raises(BadModel, match="names no output head"):
        read_head(torch.nn.Linear(2, 2), batch_of(tiny_lm()))
