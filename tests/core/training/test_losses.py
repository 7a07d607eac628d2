"""The hand-checkable loss cases F-4 to F-7 of the specification."""

from __future__ import annotations

import math

import pytest

from core.training.losses import dpo, kl, nll, npo, sequence_nll


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
