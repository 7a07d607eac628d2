"""Objectives against slow, obvious ones: reference sums, KL over real positions, what is remembered."""

from __future__ import annotations

from itertools import pairwise

import pytest

from core.lm.tokenise import encode_pairs
from core.repair import METHODS, objectives
from core.repair.base import Setting
from core.repair.objectives import Preferences, Reference, WithKL
from core.training.loop import Pair
from core.values import Silent


@pytest.fixture
def lm(tiny_lm):
    return tiny_lm()


@pytest.fixture
def pairs(lm):
    good = encode_pairs(lm.tokenizer, ["one", "", "a third prompt"], ["kind", "nice words", "ok"])
    bad = encode_pairs(lm.tokenizer, ["one", "", "a third prompt"], ["rude words here", "no", "ko"])
    return [Pair(n, g, b) for n, (g, b) in enumerate(zip(good, bad, strict=True))]


@pytest.fixture
def normal(lm):
    return encode_pairs(lm.tokenizer, [""] * 4, ["calm text", "more of it", "a", "the last of the texts"])


def alone(lm, text):
    """Log-probabilities (scored, vocabulary) of one text, without a batch."""
    import torch

    ids = torch.tensor([text.ids])
    logits = lm.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    return logits[text.start - 1 : -1].log_softmax(-1)


def summed(lm, text) -> float:
    return sum(float(row[i]) for row, i in zip(alone(lm, text).detach(), text.ids[text.start :], strict=True))


def nudge(lm):
    import torch

    with torch.no_grad():
        for weight in lm.model.transformer.h.parameters():
            weight.mul_(1.02)


def test_dpo_starts_at_ln_2_and_compares_sums_of_response_tokens(lm, pairs):
    objective = Preferences(lm, 0.1)
    objective.prepare(pairs, Silent())
    start = objective.loss(pairs)
    assert float(start.loss.detach()) == pytest.approx(0.693147, abs=1e-4)
    reference = [(summed(lm, p.good), summed(lm, p.bad)) for p in pairs]
    nudge(lm)
    parts = {k: float(v.detach()) for k, v in objective.loss(pairs).parts.items()}
    policy = [(summed(lm, p.good), summed(lm, p.bad)) for p in pairs]
    rewards = [
        [0.1 * (a - b) for a, b in zip(x, y, strict=True)] for x, y in zip(policy, reference, strict=True)
    ]
    assert parts["reward_good"] == pytest.approx(sum(r[0] for r in rewards) / 3, abs=1e-3)
    assert parts["reward_bad"] == pytest.approx(sum(r[1] for r in rewards) / 3, abs=1e-3)
    assert parts["logprob_good"] == pytest.approx(sum(p[0] for p in policy) / 3, rel=1e-4)
    assert parts["accuracy"] == pytest.approx(sum(r[0] > r[1] for r in rewards) / 3)


def test_dpo_computes_the_reference_once_and_keeps_no_second_model(lm, pairs):
    objective = Preferences(lm, 0.1)
    objective.prepare(pairs, Silent())
    calls = []
    watch = lm.model.register_forward_hook(lambda *_: calls.append(1))
    objective.loss(pairs[:2])
    objective.validate(pairs)
    watch.remove()
    assert len(calls) == 2, "one forward pass for both sides, none for the reference"


@pytest.mark.parametrize("direction", ["reverse", "forward"])
def test_kl_runs_over_real_positions_only(lm, pairs, normal, direction):
    params = METHODS["irepair_kl"].params(kl_direction=direction, normal_batch=4, alpha=0.0)
    objective = WithKL(Preferences(lm, 0.1), Setting(lm, params, normal, seed=0))
    objective.prepare(pairs, Silent())
    assert float(objective.loss(pairs).parts["kl"].detach()) == pytest.approx(0, abs=1e-6)
    before = [alone(lm, text).detach() for text in normal]
    nudge(lm)
    total, count = 0.0, 0
    for text, old in zip(normal, before, strict=True):
        new = alone(lm, text).detach()
        first, second = (new, old) if direction == "reverse" else (old, new)
        total += float((first.exp() * (first - second)).sum())
        count += len(new)
    found = float(objective.loss(pairs).parts["kl"].detach())
    assert found == pytest.approx(total / count, rel=1e-3) and found > 0


def test_the_loss_is_alpha_times_nll_plus_kl_and_validation_is_the_nll(lm, pairs, normal):
    params = METHODS["irepair_kl"].params(alpha=0.25)
    objective = METHODS["irepair_kl"].phases[0].build(Setting(lm, params, normal, 0))
    nudge(lm)
    terms = objective.loss(pairs)
    parts = {k: float(v.detach()) for k, v in terms.parts.items()}
    assert float(terms.loss.detach()) == pytest.approx(0.25 * parts["nll"] + parts["kl"], rel=1e-5)
    assert float(objective.validate(pairs).mean().detach()) == pytest.approx(parts["nll"], rel=1e-5)


def test_remembered_and_recomputed_references_agree(lm, normal, monkeypatch):
    import torch

    kept = Reference(lm, normal)
    monkeypatch.setattr(objectives, "CACHE_BYTES", 0)
    anew = Reference(lm, normal)
    assert kept.remembers and not anew.remembers
    untouched = [alone(lm, text).detach() for text in normal]
    nudge(lm)  # the policy moves, its frozen copy does not
    for rows in ([0, 1], [1, 3], [2, 2], [3, 0, 1]):
        slow = torch.cat([untouched[r] for r in rows])
        torch.testing.assert_close(kept.logprobs(rows), slow, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(kept.logprobs(rows), anew.logprobs(rows), rtol=1e-4, atol=1e-4)
    assert set(kept.known) == {0, 1, 2, 3} and not anew.known
    assert all(not w.requires_grad for w in kept.model.parameters())


def test_normal_batches_have_their_own_seeded_order(lm, normal):
    params = METHODS["irepair_kl"].params(batch=2)

    def drawn(seed):
        objective = WithKL(Preferences(lm, 0.1), Setting(lm, params, normal, seed))
        return [next(objective.draws).tolist() for _ in range(6)]

    assert drawn(0) == drawn(0) != drawn(1)
    assert all(sorted(a + b) == [0, 1, 2, 3] for a, b in list(pairwise(drawn(0)))[::2])
