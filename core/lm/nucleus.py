"""Draw tokens from the nucleus: the smallest set of most likely tokens whose mass reaches top_p.

Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020 (arXiv:1904.09751), section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

HEAD = 16  # tokens sorted first: enough for most rows of a trained model, and three times faster than 200
MORE = 16  # times as many for the rows whose nucleus is larger, until all are sorted: k is unlimited


def nucleus(log_p: torch.Tensor, uniforms: torch.Tensor, top_p: float, head: int = HEAD) -> torch.Tensor:
    """Inverse-transform draw from the smallest set of tokens whose mass reaches `top_p`; returns ids (r,).

    log_p (r, v) are log-probabilities, uniforms (r,) lie in [0, 1). Only the `head` largest are sorted;
    more in rows in which these do not reach top_p, so the result is that of a full sort.
    """
    size = log_p.shape[-1]
    if top_p >= 1:
        return _inverse(log_p.exp().cumsum(dim=-1), uniforms)
    top, ids = log_p.topk(min(head, size), dim=-1)
    mass = top.exp()
    cumulative = mass.cumsum(dim=-1)
    inside = cumulative - mass < top_p  # tokens before this one do not reach top_p yet
    picked = _inverse((mass * inside).cumsum(dim=-1), uniforms)
    chosen = ids.gather(-1, picked[:, None])[:, 0]
    short = (cumulative[:, -1] < top_p).nonzero()[:, 0]
    if head < size and len(short):
        chosen[short] = nucleus(log_p[short], uniforms[short], top_p, head=head * MORE)
    return chosen


def keep_nucleus(logits: torch.Tensor, top_p: float, head: int = HEAD) -> torch.Tensor:
    """The logits (r, v) with -inf outside the smallest set of tokens whose mass reaches `top_p`.

    Sorts the `head` largest only, and more in rows in which these do not reach top_p.
    """
    import torch

    if top_p >= 1:
        return logits
    size = logits.shape[-1]
    values, ids = logits.topk(min(head, size), dim=-1)
    mass = (values - logits.logsumexp(dim=-1, keepdim=True)).exp()
    cumulative = mass.cumsum(dim=-1)
    values = torch.where(cumulative - mass < top_p, values, -torch.inf)
    kept = torch.full_like(logits, -torch.inf).scatter(-1, ids, values)
    short = (cumulative[:, -1] < top_p).nonzero()[:, 0]
    if head < size and len(short):
        kept[short] = keep_nucleus(logits[short], top_p, head=head * MORE)
    return kept


def _inverse(cumulative: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """First position whose cumulative mass exceeds the row's uniform share of the total mass."""
    import torch

    aim = uniforms[:, None] * cumulative[:, -1:]
    picked = torch.searchsorted(cumulative, aim, right=True)[:, 0]
    last = torch.searchsorted(cumulative, cumulative[:, -1:].contiguous())[
        :, 0
    ]  # rounding may reach the total
    return torch.minimum(picked, last)
