"""What pushes bad text down, against slow, obvious computations on a tiny model."""

from __future__ import annotations

import math

import pytest

from core.lm.tokenise import encode_pairs
from core.repair import METHODS
from core.repair.base import Setting
from core.repair.unlearning import Suppression, TokenPenalty, told
from core.training.parts import Pair
from core.values import Silent

PROMPTS = ["one", "", "a third prompt"]


@pytest.fixture
def lm(tiny_lm):
    return tiny_lm()


@pytest.fixture
def pairs(lm):
    good = encode_pairs(lm.tokenizer, PROMPTS, ["kind", "nice words", "ok"])
    bad = encode_pairs(lm.tokenizer, PROMPTS, ["rude words here", "no", "ko"])
    return [Pair(n, g, b) for n, (g, b) in enumerate(zip(good, bad, strict=True))]


def token_losses(lm, text):
    """Cross-entropy of each scored token of one text, without a batch."""
    import torch

    ids = torch.tensor([text.ids])
    with torch.no_grad():
        found = lm.model(ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].log_softmax(-1)
    return [-float(found[j - 1, text.ids[j]]) for j in range(max(text.start, 1), len(text.ids))]


def nudge(lm):
    import torch

    with torch.no_grad():
        for weight in lm.model.transformer.h.parameters():
            weight.mul_(1.02)


def value(terms) -> float:
    return float(terms.loss.detach())


def test_npo_starts_at_2_over_beta_ln_2_and_compares_sums_with_the_untouched_model(lm, pairs):
    objective = Suppression(lm, 0.1)
    objective.prepare(pairs, Silent())
    assert value(objective.loss(pairs)) == pytest.approx(20 * math.log(2), abs=1e-3)
    reference = [-sum(token_losses(lm, p.bad)) for p in pairs]
    nudge(lm)
    gaps = [-sum(token_losses(lm, p.bad)) - r for p, r in zip(pairs, reference, strict=True)]
    slow = [-(2 / 0.1) * math.log(1 / (1 + math.exp(0.1 * gap))) for gap in gaps]
    assert value(objective.loss(pairs)) == pytest.approx(sum(slow) / 3, rel=1e-3)
    assert objective.validate(pairs).tolist() == pytest.approx(slow, rel=1e-3)


@pytest.mark.parametrize("name", ["npo", "grad_diff"])
@pytest.mark.parametrize("retain", ["nll", "kl", "none"])
def test_the_loss_is_gamma_down_plus_alpha_retained(lm, pairs, name, retain):
    normal = encode_pairs(lm.tokenizer, [""] * 3, ["calm text", "more", "the last of them"])
    method = METHODS[name]
    params = method.params(gamma=0.3, alpha=2.0, retain=retain, normal_batch=3)
    objective = method.phases[0].build(Setting(lm, params, normal, seed=0))
    objective.prepare(pairs, Silent())
    nudge(lm)
    terms = objective.loss(pairs)
    parts = {key: float(part.detach()) for key, part in terms.parts.items()}
    bad = [loss for p in pairs for loss in token_losses(lm, p.bad)]
    down = parts["npo"] if name == "npo" else -parts["nll_bad"]
    if name == "grad_diff":
        assert parts["nll_bad"] == pytest.approx(sum(bad) / len(bad), rel=1e-3), "a mean over tokens"
    kept = {"nll": parts.get("nll"), "kl": parts.get("kl"), "none": 0.0}[retain]
    assert set(parts) - {"logprob_bad"} == {"npo" if name == "npo" else "nll_bad", retain} - {"none"}
    assert value(terms) == pytest.approx(0.3 * down + 2.0 * kept, rel=1e-4)
    assert objective.validate(pairs).shape == (3,)
    if retain == "nll":
        good = [loss for p in pairs for loss in token_losses(lm, p.good)]
        assert kept == pytest.approx(sum(good) / len(good), rel=1e-3)


def masked(pair, good=(), bad=()):
    """The pair with these token indices penalised."""
    rows = [tuple(n in at for n in range(len(t.ids))) for t, at in ((pair.good, good), (pair.bad, bad))]
    return Pair(pair.number, pair.good, pair.bad, *rows)


def test_token_penalty_turns_the_sign_of_the_named_tokens_and_divides_by_all(lm, pairs):
    at = [[pairs[0].good.start + 1], [], [pairs[2].good.start]]
    rows = [masked(p, good=where) for p, where in zip(pairs, at, strict=True)]
    signed, count = 0.0, 0
    for row, where in zip(rows, at, strict=True):
        for place, loss in enumerate(token_losses(lm, row.good), row.good.start):
            signed += -0.5 * loss if place in where else loss
            count += 1
    terms = TokenPenalty(lm, 0.5).loss(rows)
    assert value(terms) == pytest.approx(signed / count, rel=1e-4)
    assert set(terms.parts) == {"nll", "nll_bad"}
    plain = TokenPenalty(lm, 0.5).loss(pairs)
    assert set(plain.parts) == {"nll"}
    assert value(plain) == pytest.approx(float(plain.parts["nll"].detach()), rel=1e-5)
    assert TokenPenalty(lm, 0.5).validate(rows).tolist() == TokenPenalty(lm, 0.0).validate(pairs).tolist()


def test_a_rejected_text_is_used_only_without_a_response_and_only_with_a_penalised_token(lm, pairs):
    (empty,) = encode_pairs(lm.tokenizer, ["one"], [""])
    alone = Pair(0, empty, pairs[0].bad)
    place = pairs[0].bad.start
    assert told(masked(pairs[0], bad=[place]))[0] == pairs[0].good
    text, mask = told(masked(alone, bad=[place]))
    assert text == pairs[0].bad and mask.index(True) == place and sum(mask) == 1
    assert told(alone)[0].scored == 0 == told(masked(alone, bad=[0]))[0].scored
    nothing = TokenPenalty(lm, 1.0).loss([alone])
    nothing.loss.backward()
    assert value(nothing) == 0 and nothing.parts == {}
    both = TokenPenalty(lm, 1.0).loss([alone, pairs[1]])
    assert value(both) == pytest.approx(value(TokenPenalty(lm, 1.0).loss([pairs[1]])), rel=1e-4)


def test_a_clamped_penalty_is_told_not_to_be_the_papers():
    method = METHODS["token_penalty"]
    assert method.params().notes == () and "not IF-Guide" in method.params(clamp=4.0).notes[0]
    assert "Not IF-Guide" in method.params.model_fields["clamp"].description
