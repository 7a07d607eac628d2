"""Task-vector negation: F-14, and that nothing moves with scale 0."""

from __future__ import annotations

import pytest

from core.repair import repair
from core.repair.methods.task_negation import negated
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example

ROWS = [Example(f"e{n}", "", "", f"a rude answer {n}") for n in range(4)]
QUICK = {"lr": 1e-3, "warmup": 0, "batch": 2, "steps": 3}


def run(lm, folder, **params):
    return repair(lm, "task_negation", ROWS, [], params=QUICK | params, folder=folder, keep="changed")


def test_f14():
    import torch

    start, tuned = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.5, 1.0])}
    assert negated(start, tuned, 0.5)["w"].tolist() == [0.75, 2.5]
    assert negated(start, tuned, 1.0)["w"].tolist() == [0.5, 3.0]


def test_scale_0_and_integers_are_the_very_same_tensors():
    import torch

    start = {"w": torch.tensor([-0.0, 2.0]), "n": torch.tensor([3])}
    tuned = {"w": torch.tensor([0.5, float("inf")]), "n": torch.tensor([5])}
    assert negated(start, tuned, 0.0)["w"] is start["w"]
    assert negated(start, tuned, 0.5)["n"] is start["n"]


def test_lambda_0_leaves_the_model_bit_identical(tiny_lm, tmp_path):
    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    assert run(lm, tmp_path, negation=0.0).weights == start


def test_the_bad_text_becomes_less_likely_where_learning_it_made_it_likelier(tiny_lm, tmp_path):
    from core.repair.methods.task_negation import TaskNegationParams
    from core.repair.objectives import Likelihood
    from core.repair.texts import tokenised

    lm = tiny_lm()
    pairs = tokenised(lm, ROWS, TaskNegationParams())

    def bad():
        return float(Likelihood(lm, side="bad").loss(pairs).loss.detach())

    start = bad()
    result = run(lm, tmp_path, lr=1e-4)
    assert bad() > start
    assert result.final["nll_bad"] < start and "moved the other way" in result.notes[0]


def test_half_a_step_back_is_half_a_step_forth_mirrored(tiny_lm, tmp_path):
    import torch

    lm = tiny_lm()
    start = snapshot(weights_of(lm.model))
    run(lm, tmp_path, negation=1.0)
    whole = snapshot(weights_of(lm.model))
    lm = tiny_lm()
    run(lm, tmp_path, negation=0.5)
    for name, weight in weights_of(lm.model).items():
        torch.testing.assert_close(weight.detach(), (start[name] + whole[name]) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scope", ["lora", "fixed"])
def test_it_works_with_every_kind_of_scope(tiny_lm, tmp_path, scope):
    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    assert run(lm, tmp_path, scope=scope).weights != start
