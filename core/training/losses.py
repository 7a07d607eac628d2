"""The losses of repair as functions of log-probabilities (repair-and-evaluation B, influence A5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import torch


def sequence_nll(logprobs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood in nats of each row's scored tokens; rows without any are left out.

    logprobs (b, t), mask (b, t) bool -> (rows with a scored token,).
    """
    count = mask.sum(1)
    told = count > 0
    return -(logprobs * mask).sum(1)[told] / count[told]


def nll(
    logprobs: torch.Tensor, mask: torch.Tensor, per: Literal["sequence", "token"] = "sequence"
) -> torch.Tensor:
    """Mean over sequences of their means (IRepair, Algorithm 1), or over all scored tokens (TRL), in nats.

    A batch in which nothing is scored has the loss 0, not NaN, and moves nothing.
    """
    if per == "token":
        return -(logprobs * mask).sum() / mask.sum().clamp(min=1)
    rows = sequence_nll(logprobs, mask)
    return rows.sum() / max(len(rows), 1)


class Preference(NamedTuple):
    """DPO per pair, each (b,); a reward is beta times the log-ratio of policy to reference."""

    loss: torch.Tensor
    reward_good: torch.Tensor
    reward_bad: torch.Tensor


def dpo(
    good: torch.Tensor, bad: torch.Tensor, ref_good: torch.Tensor, ref_bad: torch.Tensor, beta: float
) -> Preference:
    """Direct preference optimisation of summed log-probabilities, (b,) each.

    Rafailov et al., NeurIPS 2023, arXiv:2305.18290, equation 7.
    """
    import torch

    reward_good, reward_bad = beta * (good - ref_good), beta * (bad - ref_bad)
    loss = -torch.nn.functional.logsigmoid(reward_good - reward_bad)
    return Preference(loss, reward_good, reward_bad)


def npo(bad: torch.Tensor, ref_bad: torch.Tensor, beta: float) -> torch.Tensor:
    """Negative preference optimisation per row, (b,): bad text goes down, ever less as it gets unlikely.

    Zhang et al., "Negative Preference Optimization", COLM 2024, arXiv:2404.05868, equation 3.
    """
    import torch

    return -(2 / beta) * torch.nn.functional.logsigmoid(-beta * (bad - ref_bad))


def token_penalty(
    logprobs: torch.Tensor,
    mask: torch.Tensor,
    penalised: torch.Tensor,
    penalty: float = 1.0,
    clamp: float | None = None,
) -> torch.Tensor:
    """Cross-entropy of the plain tokens minus `penalty` times that of the penalised ones, in nats per token.

    IF-Guide's objective (influence.md A5): divided by the number of all scored tokens, penalised ones
    included. All are (b, t), aligned to the token that is predicted; nothing scored is 0, not NaN. It has no
    lower bound for penalty > 0. `clamp`, in nats, is NOT part of IF-Guide: no penalised token counts, or is
    pushed, beyond it.
    """
    import torch

    losses = -logprobs
    pushed = losses if clamp is None else losses.clamp(max=clamp)
    zero = torch.zeros_like(losses)
    plain = torch.where(mask & ~penalised, losses, zero)
    total = plain.sum() - penalty * torch.where(mask & penalised, pushed, zero).sum()
    return total / mask.sum().clamp(min=1)


def kl(
    policy: torch.Tensor, reference: torch.Tensor, direction: Literal["reverse", "forward"]
) -> torch.Tensor:
    """Mean Kullback-Leibler divergence in nats over positions; both (n, vocabulary) log-probabilities.

    "reverse" is KL(policy || reference), IRepair's equation 3; "forward" is KL(reference || policy). Written
    out because F.kl_div(log_policy, log_reference) is the forward one, against the order of its arguments.
    """
    first, second = (policy, reference) if direction == "reverse" else (reference, policy)
    return (first.exp() * (first - second)).sum(-1).sum() / max(len(policy), 1)
