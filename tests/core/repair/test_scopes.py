"""The slices: which block is chosen, that nothing else moves or is worked on (F-1, F-2); the ablations."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from core.lm.load import LanguageModel, blocks
from core.lm.tokenise import Encoded
from core.repair import scopes
from core.repair.base import RepairParams
from core.repair.objectives import Likelihood
from core.repair.scopes import (
    DynamicBlock,
    FixedBlock,
    mean_gradient_norms,
    open_scope,
    sensitivities,
    strongest,
    weakest,
)
from core.training.checkpoints import snapshot, weights_of
from core.training.loop import Pair, optimizer
from core.training.losses import kl
from core.values import Silent


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


def toy(sizes=(1, 2)):
    """Vocabulary {0, 1}, logits (0, sum of all weights); by default block A = {a}, B = {b1, b2} (F-2)."""
    import torch

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.config = SimpleNamespace(num_hidden_layers=len(sizes))
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


def test_f1_the_sequences_of_dynamic_fixed_and_min(tiny_lm, monkeypatch):
    """Three blocks whose sensitivities are given; each scope is asked as the loop asks it."""
    measured = [(5, 4, 1), (2, 4, 1), (2, 1, 3)]
    pairs = [Pair(0, good=Encoded((0, 0), 1), bad=Encoded((0, 1), 1))]

    def chosen(scope):
        rows = iter(measured)
        monkeypatch.setattr(scopes, "sensitivities", lambda *_: next(rows))
        monkeypatch.setattr(scopes, "mean_gradient_norms", lambda *_: next(rows))
        opened = open_scope(toy((1, 1, 1)), RepairParams(scope=scope))
        opened.prepare(pairs, Silent())
        return [opened.choose(pairs).block for _ in measured]

    assert chosen("dynamic") == [0, 1, 2]
    assert chosen("fixed") == [0, 0, 0]
    assert chosen("min") == [2, 2, 1]


def test_min_takes_the_lowest_of_equally_weak_blocks():
    assert weakest([5, 3, 13]) == 1 and weakest([2, 1, 1]) == 1 and weakest([0, 0]) == 0


def test_f1c_opposite_gradients_cancel_in_the_mean_but_not_in_the_mean_of_norms():
    lm = toy((1, 1))
    texts = [Encoded((0, 1), 1), Encoded((0, 0), 1)]  # d/dz = -0.5 and +0.5 at z = 0
    assert mean_gradient_norms(lm, texts, Silent()) == pytest.approx((0, 0), abs=1e-7)
    each = [mean_gradient_norms(lm, [text], Silent()) for text in texts]
    assert each == [pytest.approx((0.5, 0.5))] * 2
    assert all(w.grad is None for w in lm.model.parameters())


def test_fixed_chooses_once_by_the_averaged_gradient_of_seeded_bad_texts(tiny_lm, monkeypatch):
    lm = tiny_lm()
    pairs = [Pair(n, encoded(lm, "good"), encoded(lm, f"bad text {n * 7}")) for n in range(9)]
    pairs.append(Pair(9, encoded(lm, "good"), Encoded((0,), 1)))  # nothing bad to look at
    seen = []
    real = scopes.mean_gradient_norms
    monkeypatch.setattr(
        scopes, "mean_gradient_norms", lambda lm, texts, r: seen.append(texts) or real(lm, texts, r)
    )

    def chosen(seed, rows):
        scope = FixedBlock(lm, rows, seed)
        scope.prepare(pairs, Silent())
        return scope

    one, two = chosen(0, 4), chosen(0, 4)
    assert one.choice == two.choice == one.choose(pairs[:2]) and seen[0] == seen[1]
    chosen(1, 4)
    chosen(0, 2000)
    assert len(seen[0]) == 4 and seen[2] != seen[0] and seen[3] == [p.bad for p in pairs[:9]]
    inside = {id(w) for w in blocks(lm.model)[one.choice.block].parameters()}
    assert {id(w) for w in one.movable().values()} == inside
    assert {id(w) for w in lm.model.parameters() if w.requires_grad} == inside


def test_the_averaged_gradient_does_not_depend_on_its_chunks(tiny_lm, monkeypatch):
    lm = tiny_lm()
    texts = [encoded(lm, "word " * n + "end") for n in range(1, 8)]
    whole = mean_gradient_norms(lm, texts, Silent())
    monkeypatch.setattr(scopes, "ROWS", 2)
    assert mean_gradient_norms(lm, texts, Silent()) == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "llama"])
@pytest.mark.parametrize("forced", [0, 1])
def test_the_second_backward_does_no_work_below_the_slice(tiny_lm, kind, forced):
    lm = tiny_lm(kind)
    pairs = [Pair(n, encoded(lm, f"good {n}"), encoded(lm, f"bad {n}")) for n in range(2)]
    scope = DynamicBlock(lm, pick=lambda _: forced)
    worked, made = [], []

    def forward(number):
        def hook(module, given, said):
            out = said[0] if isinstance(said, tuple) else said
            made.append((number, out.requires_grad))
            if out.requires_grad:
                out.register_hook(lambda gradient: worked.append(number))

        return hook

    hooks = [b.register_forward_hook(forward(n)) for n, b in enumerate(blocks(lm.model))]
    choice = scope.choose(pairs)
    assert sorted(worked) == [0, 1], "the first backward reaches every block"
    worked.clear(), made.clear()
    Likelihood(lm).loss(pairs).loss.backward()
    for hook in hooks:
        hook.remove()
    assert choice.block == forced and dict(made) == {0: forced == 0, 1: True}, "no graph below the slice"
    assert sorted(worked) == list(range(forced, 2)), "gradients reach the slice and what lies above it"
    below = [w for block in blocks(lm.model)[:forced] for w in block.parameters()]
    assert all(w.grad is None for w in below)
    assert all(w.grad is None for w in lm.model.get_input_embeddings().parameters())


@pytest.mark.parametrize("name", ["all", "lora", "dynamic", "min", "fixed"])
def test_every_scope_leaves_a_plain_model_whose_weights_may_all_move(tiny_lm, name):
    lm = tiny_lm()
    names = [n for n, _ in lm.model.named_parameters()]
    pairs = [Pair(0, encoded(lm, "good"), encoded(lm, "bad"))]
    scope = open_scope(lm, RepairParams(scope=name))
    scope.prepare(pairs, Silent())
    scope.choose(pairs)
    moving = {id(w) for w in lm.model.parameters() if w.requires_grad}
    assert moving <= {id(w) for w in scope.movable().values()} and moving
    scope.close()
    assert [n for n, _ in lm.model.named_parameters()] == names
    assert all(w.requires_grad for w in lm.model.parameters())
