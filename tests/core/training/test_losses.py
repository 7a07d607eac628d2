"""The hand-checkable loss cases F-4 to F-7 and E6 of the specification; gradients by finite differences."""

from __future__ import annotations

import math

import pytest

from core.training.losses import dpo, kl, nll, npo, sequence_nll, token_penalty


def t(*values):
    import torch

    return torch.tensor(values, dtype=torch.float64)


def test_f5_only_scored_tokens_count():
    import torch

    logprobs = t([-1.0, -2.0, -0.5, -1.5])
    assert float(nll(logprobs, torch.tensor([[False, False, True, True]]))) == pytest.approx(1.0)
    assert float(nll(logprobs, torch.ones(1, 4, dtype=torch.bool))) == pytest.approx(1.25)


def test_f5_sequences_weigh_alike_unless_tokens_are_pooled():
    import torch

    logprobs = t([-1.0, -1.0, 0.0, 0.0], [-2.0, -2.0, -2.0, -2.0])
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    assert float(nll(logprobs, mask)) == pytest.approx(1.5)
    assert float(nll(logprobs, mask, per="token")) == pytest.approx(10 / 6)


def test_f5_a_row_with_nothing_scored_has_no_loss_and_no_nan():
    import torch

    logprobs = t([-1.0, -3.0], [0.0, 0.0]).requires_grad_()
    mask = torch.tensor([[True, True], [False, False]])
    assert sequence_nll(logprobs, mask).tolist() == [2.0]
    assert float(nll(logprobs, mask).detach()) == pytest.approx(2.0), "the empty row must not halve the mean"
    nothing = nll(logprobs, torch.zeros(2, 2, dtype=torch.bool))
    nothing.backward()
    assert float(nothing.detach()) == 0 and logprobs.grad is not None and not logprobs.grad.any()


@pytest.mark.parametrize(
    ("values", "beta", "loss", "good", "bad", "weight"),
    [
        ((-20, -20, -20, -20), 0.1, 0.693147, 0, 0, 0.5),
        ((-10, -12, -11, -11), 0.1, 0.598139, 0.1, -0.1, 0.450166),
        ((-5, -30, -8, -20), 0.1, 0.241008, 0.3, -1.0, 0.214165),
        ((-30, -5, -20, -8), 0.5, 6.501502, -5, 1.5, 0.998499),
    ],
)
def test_f6_dpo(values, beta, loss, good, bad, weight):
    lp_good, lp_bad, ref_good, ref_bad = (t(float(v)).requires_grad_() for v in values)
    found = dpo(lp_good, lp_bad, ref_good.detach(), ref_bad.detach(), beta)
    assert float(found.loss.detach()) == pytest.approx(loss, abs=1e-4)
    assert float(found.reward_good.detach()) == pytest.approx(good)
    assert float(found.reward_bad.detach()) == pytest.approx(bad)
    found.loss.sum().backward()
    assert float(lp_good.grad) == pytest.approx(-beta * weight, abs=1e-4)
    shift = 7.0  # the prompt's own log-probability cancels
    moved = dpo(lp_good + shift, lp_bad + shift, ref_good + shift, ref_bad + shift, beta)
    assert float(moved.loss.detach()) == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize(
    ("bad", "ref", "beta", "loss"),
    [
        (-10, -10, 0.1, 20 * math.log(2)),
        (-14, -10, 0.1, 10.260305),
        (-30, -10, 0.1, 2.538560),
        (-14, -10, 1.0, 0.0363),
    ],
)
def test_f7_npo(bad, ref, beta, loss):
    assert float(npo(t(float(bad)), t(float(ref)), beta)) == pytest.approx(loss, abs=1e-4)


def test_f4_kl_directions_and_the_trap_of_kl_div():
    import torch

    p, q = t([0.7, 0.2, 0.1]).log(), t([0.5, 0.3, 0.2]).log()
    assert float(kl(p, q, "reverse")) == pytest.approx(0.085123, abs=1e-5)
    assert float(kl(p, q, "forward")) == pytest.approx(0.092033, abs=1e-5)
    trap = torch.nn.functional.kl_div(p, q, log_target=True, reduction="sum")
    assert float(trap) == pytest.approx(float(kl(p, q, "forward"))), (
        "kl_div(policy, ref) is KL(ref || policy)"
    )
    one, two = t([0.5, 0.25, 0.25]).log(), t([0.25, 0.5, 0.25]).log()
    assert float(kl(one, two, "reverse")) == pytest.approx(0.173287, abs=1e-5)


def test_kl_is_a_mean_over_positions_and_zero_without_any():
    import torch

    p, q = t([0.7, 0.2, 0.1]).log(), t([0.5, 0.3, 0.2]).log()
    assert float(kl(torch.cat([p, q]), torch.cat([q, q]), "reverse")) == pytest.approx(0.085123 / 2, abs=1e-5)
    assert float(kl(p[:0], q[:0], "reverse")) == 0


def test_f7_gradient_ascent_is_the_nll_with_its_sign_turned():
    import torch

    assert float(-1.0 * nll(t([-2.3]), torch.tensor([[True]]))) == pytest.approx(-2.3)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_npos_gradient_fades_as_the_bad_text_gets_unlikely(beta):
    def weight(gap):
        bad = t(-10.0 + gap).requires_grad_()
        npo(bad, t(-10.0), beta).backward()
        return float(bad.grad)

    for gap in (-30.0, -5.0, 0.0, 5.0):
        assert weight(gap) == pytest.approx(2 / (1 + math.exp(-beta * gap)), rel=1e-6)
    assert weight(-30.0) < weight(0.0) == pytest.approx(1.0), "at the reference it is gradient ascent's"


def e6():
    """Logits of three positions, and what they say of ids (0, 1, 0, 2); the first token is never scored."""
    import torch

    logits = t([0.0, 0, 0], [2.0, 0, 0], [0.0, 1, 0])
    found = logits.log_softmax(-1)[[0, 1, 2], [1, 0, 2]]
    mask = torch.tensor([[False, True, True, True]])
    toxic = torch.tensor([[False, False, True, False]])  # token index 2: predicted at position 1
    return torch.cat([torch.zeros(1, dtype=found.dtype), found])[None], mask, toxic


@pytest.mark.parametrize(
    ("penalty", "total"), [(0, 2.6500568), (0.5, 2.5302844), (1, 2.4105120), (2, 2.1709674)]
)
def test_e6_the_penalised_tokens_loss_is_taken_away_and_all_labels_divide(penalty, total):
    logprobs, mask, toxic = e6()
    assert (-logprobs[0, 1:]).tolist() == pytest.approx([1.0986123, 0.2395448, 1.5514446])
    assert float(token_penalty(logprobs, mask, toxic, penalty)) == pytest.approx(total / 3, abs=1e-6)
    plain = token_penalty(logprobs, mask, mask & False, penalty)
    assert float(plain) == pytest.approx(2.8896017 / 3, abs=1e-6), "validation penalises nothing"


def test_token_penalty_clamps_only_penalised_tokens_and_only_when_asked():
    import torch

    logprobs = t([0.0, -9.0, -9.0]).requires_grad_()
    mask, toxic = torch.tensor([[False, True, True]]), torch.tensor([[False, False, True]])
    assert float(token_penalty(logprobs, mask, toxic).detach()) == 0
    value = token_penalty(logprobs, mask, toxic, clamp=4.0)
    value.backward()
    assert float(value.detach()) == pytest.approx((9 - 4) / 2)
    assert logprobs.grad.tolist() == [[0, -0.5, 0]], "beyond the clamp nothing is pushed"


def test_token_penalty_of_nothing_is_zero_and_of_penalised_tokens_alone_the_negative_nll():
    import torch

    logprobs = t([-1.0, -3.0]).requires_grad_()
    none, every = torch.zeros(1, 2, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)
    nothing = token_penalty(logprobs, none, every)
    nothing.backward()
    assert float(nothing.detach()) == 0 and not logprobs.grad.any()
    assert float(token_penalty(logprobs, every, every).detach()) == -2.0


def test_gradients_agree_with_finite_differences():
    import torch

    logits = t([0.3, -1, 0.2], [1.1, 0.4, -2], [0.5, 0.1, 0.9], [-0.3, 1.2, 0.0]).requires_grad_()
    other = t([0.1, 0.2, 0.3], [0, 1, 0.5], [0.4, 0.2, 0.2], [1, 0, 0]).log_softmax(-1)
    mask = torch.tensor([[True, True], [True, False]])
    toxic = torch.tensor([[False, True], [False, True]])

    def picked(z):
        return z.log_softmax(-1)[range(4), [0, 2, 1, 1]].view(2, 2)

    check = torch.autograd.gradcheck
    assert check(lambda z: token_penalty(picked(z), mask, toxic, 0.7), logits)
    assert check(lambda z: token_penalty(picked(z), mask, toxic, 0.7, clamp=9.0), logits)
    assert check(lambda z: npo(picked(z).sum(1), t(-2.0, -1.0), 0.3), logits)
    assert check(lambda z: dpo(*picked(z), t(-2.0, -1.0), t(-1.0, -3.0), 0.3).loss, logits)
    for per in ("sequence", "token"):
        assert check(lambda z, per=per: nll(picked(z), mask, per), logits)
    for direction in ("reverse", "forward"):
        assert check(lambda z, d=direction: kl(z.log_softmax(-1), other, d), logits)
