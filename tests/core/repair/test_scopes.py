"""The dynamic slice: which block is chosen, and that nothing else moves (F-1, F-2)."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from core.lm.load import LanguageModel, blocks
from core.lm.tokenise import Encoded
from core.repair.objectives import Likelihood
from core.repair.scopes import DynamicBlock, sensitivities, strongest
from core.training.checkpoints import snapshot, weights_of
from core.training.loop import Pair, optimizer
from core.training.losses import kl


def test_f1_the_largest_norm_wins_and_ties_go_to_the_lowest_index():
    assert strongest([5, 3, 13]) == 2
    assert [strongest(s) for s in ([5, 4, 1], [2, 4, 1], [2, 1, 3])] == [0, 1, 2]
    assert strongest([2, 7, 7]) == 1 and strongest([0, 0]) == 0


def test_f1_sensitivity_is_the_norm_over_all_weights_of_the_block():
    import torch

    weights = [torch.zeros(n, requires_grad=True) for n in (2, 1, 2, 3)]
    gradients = [torch.tensor(g) for g in ([3.0, 4.0], [1.0], [2.0, 2.0], [5.0, 0.0, 12.0])]
    loss = sum((w * g).sum() for w, g in zip(weights, gradients, strict=True))
    assert sensitivities(loss, [weights[:1], weights[1:3], weights[3:]]) == pytest.approx((5, 3, 13))


def toy():
    """Vocabulary {0, 1}, logits (0, a + b1 + b2) everywhere; block A = {a}, block B = {b1, b2} (F-2)."""
    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = SimpleNamespace(num_hidden_layers=2)
            sizes = (1, 2)
            self.layers = torch.nn.ModuleList(
                torch.nn.ParameterList([torch.zeros(()) for _ in range(n)]) for n in sizes
            )

        def forward(self, input_ids, **ignored):
            z = sum(self.parameters())
            return SimpleNamespace(logits=torch.stack([0 * z, z]).expand(*input_ids.shape, 2))

    return LanguageModel(Model(), SimpleNamespace(pad_token_id=0, eos_token_id=0), "toy", "", "cpu", 8)


def test_f2_one_step_moves_the_slice_only():
    import torch

    lm = toy()
    pairs = [Pair(0, good=Encoded((0, 0), 1), bad=Encoded((0, 1), 1))]
    choice = DynamicBlock(lm).choose(pairs)
    assert choice.block == 1 and choice.sensitivity == pytest.approx((0.5, math.sqrt(0.5)))
    assert [bool(w.requires_grad) for w in lm.model.parameters()] == [False, True, True]
    assert all(w.grad is None for w in lm.model.parameters()), "the criterion must leave no gradient behind"
    objective = Likelihood(lm)
    objective.loss(pairs).loss.backward()
    torch.optim.SGD(lm.model.parameters(), lr=1.0).step()
    assert [float(w.detach()) for w in lm.model.parameters()] == pytest.approx([0, -0.5, -0.5])
    with torch.no_grad():
        assert float(objective.loss(pairs).loss) == pytest.approx(0.313262, abs=1e-5)
        swapped = [Pair(0, pairs[0].bad, pairs[0].good)]
        assert float(objective.loss(swapped).loss) == pytest.approx(1.313262, abs=1e-5)
        policy = lm.model(torch.zeros(1, 1)).logits[0].log_softmax(-1)
    reference = torch.full((1, 2), 0.5).log()
    assert policy.exp()[0].tolist() == pytest.approx([0.731059, 0.268941], abs=1e-5)
    assert float(kl(policy, reference, "reverse")) == pytest.approx(0.110944, abs=1e-5)
    assert float(kl(policy, reference, "forward")) == pytest.approx(0.120114, abs=1e-5)


def encoded(lm, text: str) -> Encoded:
    return Encoded((0, *lm.tokenizer(text).input_ids), 1)


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gpt_neox"])
def test_after_each_step_only_the_chosen_blocks_weights_differ(tiny_lm, kind):
    import torch

    lm = tiny_lm(kind)
    pairs = [Pair(n, encoded(lm, f"good {n}"), encoded(lm, f"bad {n}")) for n in range(3)]
    scope, objective, rmsprop = DynamicBlock(lm), Likelihood(lm), optimizer(lm.model, 1e-3)
    names = {id(w): name for name, w in lm.model.named_parameters()}
    members = [{names[id(w)] for w in block.parameters()} for block in blocks(lm.model)]
    seen = set()
    for step in range(4):
        forced = step % 2  # move the gradients around, so that both blocks get their turn
        with torch.no_grad():
            for block in range(2):
                factor = 3.0 if block == forced else 1 / 3
                for name, w in lm.model.named_parameters():
                    if name in members[block] and name.endswith(("c_proj.weight", "dense_4h_to_h.weight")):
                        w.mul_(factor)
        before = snapshot(weights_of(lm.model))
        choice = scope.choose(pairs)
        objective.loss(pairs).loss.backward()
        assert {n for n, w in lm.model.named_parameters() if w.grad is not None} == members[choice.block]
        rmsprop.step()
        rmsprop.zero_grad(set_to_none=True)
        after = snapshot(weights_of(lm.model), before)
        moved = {n for n in after if after[n] is not before[n]}
        assert moved and moved <= members[choice.block]
        seen.add(choice.block)
    assert len(rmsprop.state) == sum(len(members[b]) for b in seen), "state appears for visited blocks only"


def test_the_criterion_is_the_mean_of_per_sequence_means_of_the_bad_halves(tiny_lm):
    import torch

    lm = tiny_lm()
    pairs = [
        Pair(0, encoded(lm, "x"), encoded(lm, "ab")),
        Pair(1, encoded(lm, "y"), encoded(lm, "a longer one")),
    ]
    found = DynamicBlock(lm).choose(pairs).sensitivity
    lm.model.requires_grad_(True)
    loss = torch.zeros(())
    for pair in pairs:
        ids = torch.tensor([pair.bad.ids])
        logprobs = lm.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].log_softmax(-1)
        loss = loss - logprobs[range(ids.shape[1] - 1), ids[0, 1:]].mean() / 2
    loss.backward()
    slow = [
        math.sqrt(sum(float(w.grad.pow(2).sum()) for w in block.parameters())) for block in blocks(lm.model)
    ]
    assert found == pytest.approx(slow, rel=1e-3)
