"""GraNd: the gradient of the loss it names, over the weights it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.lm.load import blocks
from core.scoring import score
from core.scoring.methods.grand import chosen_weights
from core.values import Pool

ROWS = [("say it", "hello there", "no"), ("", "abc", "a longer one"), ("a much longer prompt", "x", "x y")]


def log_p(lm: Any, read: Any, prompt: str, text: str) -> Any:
    """Summed log-probability of a text, with its graph."""
    logits, targets = read(lm, prompt, text)
    return logits.log_softmax(-1).gather(1, targets[:, None]).sum()


def length(loss: Any, weights: list[Any]) -> float:
    import torch

    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).norm().item()


@pytest.mark.parametrize("scope", ["last_block", "all"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_nll_is_the_gradient_of_the_response_over_the_chosen_weights(
    scope: str, reduction: str, pool_of: Any, tiny_folder: Any, tiny_lm: Any, read: Any
) -> None:
    lm = tiny_lm("gpt_neo")
    weights = list(blocks(lm.model)[-1].parameters() if scope == "last_block" else lm.model.parameters())
    expected = []
    for prompt, response, _ in ROWS:
        count = len(read(lm, prompt, response)[1]) if reduction == "mean" else 1
        expected.append(length(-log_p(lm, read, prompt, response) / count, weights))
    params = {"scope": scope, "reduction": reduction}
    found = score("grand", pool_of(ROWS), params, model=str(tiny_folder("gpt_neo")))
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scope", ["head", "last_block", "all"])
def test_dpo_is_the_gradient_of_its_first_step(
    scope: str, pool_of: Any, tiny_folder: Any, tiny_lm: Any, read: Any
) -> None:
    import torch

    lm = tiny_lm("llama")  # its head is not tied
    chosen = {"head": lm.model.lm_head, "last_block": blocks(lm.model)[-1], "all": lm.model}[scope]
    expected = []
    for prompt, response, rejected in ROWS:
        good, bad = (log_p(lm, read, prompt, text) for text in (response, rejected))
        gap = (good - good.detach()) - (bad - bad.detach())  # the reference is the model itself
        loss = -torch.nn.functional.logsigmoid(0.3 * gap)
        assert loss.item() == pytest.approx(np.log(2))
        expected.append(length(loss, list(chosen.parameters())))
    params = {"scope": scope, "loss": "dpo", "beta": 0.3}
    for batch in (1, 3, 16):
        found = score("grand", pool_of(ROWS), {**params, "batch": batch}, model=str(tiny_folder("llama")))
        assert found == pytest.approx(expected, rel=1e-4)


def test_head_only_ignores_tied_input_embeddings(
    pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path], tiny_lm: Any, read: Any
) -> None:
    import torch

    lm = tiny_lm("gpt2")
    tied = lm.model.lm_head.weight
    assert tied is lm.model.transformer.wte.weight
    lm.model.lm_head = torch.nn.Linear(*reversed(tied.shape), bias=False)
    lm.model.lm_head.weight.data.copy_(tied.data)
    expected = [
        length(-log_p(lm, read, p, r) / len(read(lm, p, r)[1]), [lm.model.lm_head.weight]) for p, r, _ in ROWS
    ]
    for batch in (1, 2, 16):
        found = score("grand", pool_of(ROWS), {"batch": batch}, model=str(tiny_folder("gpt2")))
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scope", ["head", "last_block", "all"])
def test_a_row_without_the_text_of_its_loss_is_nan(scope: str, pool_of: Any, tiny_folder: Any) -> None:
    pool = pool_of([("p", "a b", "c"), ("p", "a b", ""), ("p", "", "c"), ("p", "", "")])
    nll, dpo = (
        np.isnan(score("grand", pool, {"scope": scope, "loss": loss}, model=str(tiny_folder())))
        for loss in ("nll", "dpo")
    )
    assert nll.tolist() == [False, False, True, True]
    assert dpo.tolist() == [False, True, True, True]


def test_a_sum_is_the_mean_times_the_tokens(pool_of: Any, tiny_folder: Any) -> None:
    mean, total = (
        score("grand", pool_of([("p", "abcd", "")]), {"reduction": r}, model=str(tiny_folder()))[0]
        for r in ("mean", "sum")
    )
    assert total == pytest.approx(5 * mean), "the blank and four letters"


def test_beta_is_a_factor(pool_of: Any, tiny_folder: Any) -> None:
    one, two = (
        score("grand", pool_of(ROWS), {"loss": "dpo", "beta": beta}, model=str(tiny_folder()))
        for beta in (0.1, 0.2)
    )
    assert two == pytest.approx(2 * one)


@pytest.mark.parametrize("scope", ["last_block", "all"])
def test_only_the_chosen_weights_are_gone_back_for(scope: str, tiny_lm: Any) -> None:
    lm = tiny_lm()
    chosen = chosen_weights(lm, scope)
    required = [weight for weight in lm.model.parameters() if weight.requires_grad]
    module = blocks(lm.model)[-1] if scope == "last_block" else lm.model
    assert {id(w) for w in required} == {id(w) for w in chosen} == {id(w) for w in module.parameters()}
