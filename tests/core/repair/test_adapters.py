"""Low-rank adapters: they begin as nothing, alone move, and merge into what they said."""

from __future__ import annotations

import pytest

from core.errors import BadModel
from core.lm.load import LanguageModel
from core.lm.tokenise import Encoded
from core.repair.adapters import Adapters
from core.repair.objectives import Likelihood
from core.training.checkpoints import snapshot, weights_of
from core.training.optimiser import optimizer
from core.training.parts import Pair

TARGETS = {"gpt2": ("c_attn",), "gpt_neo": ("q_proj", "v_proj"), "llama": ("q_proj", "v_proj")}


def pairs(lm):
    ids = [(0, *lm.tokenizer(text).input_ids) for text in ("good words", "bad words")]
    return [Pair(0, Encoded(ids[0], 1), Encoded(ids[1], 1))]


def logits(lm):
    import torch

    with torch.no_grad():
        return lm.model(torch.tensor([lm.tokenizer("some text to look at").input_ids])).logits


def train(lm, scope, steps=3):
    rmsprop, objective = optimizer(lm.model, 1e-3, "rmsprop", 0.0), Likelihood(lm)
    for _ in range(steps):
        scope.choose(pairs(lm))
        objective.loss(pairs(lm)).loss.backward()
        rmsprop.step()
        rmsprop.zero_grad(set_to_none=True)


@pytest.mark.parametrize("kind", TARGETS)
def test_they_sit_where_peft_puts_them_and_change_nothing_at_the_start(tiny_lm, kind):
    import torch

    lm = tiny_lm(kind)
    before = logits(lm)
    scope = Adapters(lm, 4, 8.0, seed=0)
    assert torch.equal(logits(lm), before)
    names = list(scope.movable())
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == set(TARGETS[kind])
    assert len(names) == 2 * 2 * len(TARGETS[kind]), "A and B in each of two blocks"
    for name, weight in scope.movable().items():
        assert (".lora_A." in name) == bool(weight.any())
        assert 4 in weight.shape


@pytest.mark.parametrize("kind", TARGETS)
def test_only_adapters_move_and_the_merged_model_says_what_they_said(tiny_lm, kind):
    import torch

    lm = tiny_lm(kind)
    before = snapshot(weights_of(lm.model))
    untouched = logits(lm)
    scope = Adapters(lm, 4, 8.0, seed=0)
    train(lm, scope)
    with_adapters = logits(lm)
    scope.close()
    after = snapshot(weights_of(lm.model), before)
    assert list(after) == list(before), "a plain model: the same weights by the same names"
    assert not hasattr(lm.model, "peft_config")
    moved = {name for name in after if after[name] is not before[name]}
    assert moved and all(name.split(".")[-2] in TARGETS[kind] for name in moved)
    torch.testing.assert_close(logits(lm), with_adapters, rtol=1e-4, atol=1e-4)
    assert (logits(lm) - untouched).abs().max() > 1e-2


def test_alpha_over_rank_scales_what_they_add(tiny_lm):
    import torch

    added = []
    for alpha in (4.0, 8.0):
        lm = tiny_lm()
        start = lm.model.transformer.h[0].attn.c_attn.weight.detach().clone()
        scope = Adapters(lm, 4, alpha, seed=0)
        with torch.no_grad():
            for name, weight in scope.movable().items():
                if ".lora_B." in name:
                    weight.fill_(0.1)
        scope.close()
        added.append(lm.model.transformer.h[0].attn.c_attn.weight.detach() - start)
    torch.testing.assert_close(added[1], 2 * added[0], rtol=1e-3, atol=1e-5)
    assert torch.linalg.matrix_rank(added[0], atol=1e-4) <= 4


def test_the_seed_decides_the_start_and_no_other_generator_is_moved(tiny_lm):
    import torch

    state = torch.get_rng_state()

    def start(seed):
        return snapshot(Adapters(tiny_lm(), 4, 8.0, seed).movable())

    one, two, other = start(0), start(0), start(1)
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert any(not torch.equal(one[n], other[n]) for n in one)
    assert torch.equal(torch.get_rng_state(), state)


def test_inside_plain_the_model_is_the_merged_one_and_outside_nothing_has_changed(tiny_lm):
    import torch

    lm, twin = tiny_lm(), tiny_lm()
    scope, other = Adapters(lm, 4, 8.0, 0), Adapters(twin, 4, 8.0, 0)
    train(lm, scope)
    train(twin, other)
    other.close()
    kept = snapshot(dict(lm.model.named_parameters()))
    with scope.plain():
        inside = snapshot(weights_of(lm.model))
    merged = snapshot(weights_of(twin.model))
    assert list(inside) == list(merged) and all(torch.equal(inside[n], merged[n]) for n in inside)
    after = dict(lm.model.named_parameters())
    assert list(after) == list(kept) and all(torch.equal(after[n], kept[n]) for n in kept)
    with pytest.raises(RuntimeError, match="halfway"), scope.plain():
        raise RuntimeError("halfway")
    assert list(dict(lm.model.named_parameters())) == list(kept)


def test_an_architecture_that_peft_does_not_know_is_a_sentence():
    import torch

    class Unknown(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = {"model_type": "something-new"}
            self.line = torch.nn.Linear(2, 2)

    with pytest.raises(BadModel, match="take scope all"):
        Adapters(LanguageModel(Unknown(), None, "u", "", "cpu", 8), 4, 8.0, 0)
