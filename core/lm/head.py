"""What a model's output head is given and says at the scored tokens: all its own gradient needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BadModel
from core.lm.logprobs import scored_logits

if TYPE_CHECKING:
    import torch

    from core.lm.tokenise import Batch


@dataclass(frozen=True)
class HeadView:
    """The linear map logits = hidden W^T (+ b) at m scored tokens, row after row without padding."""

    hidden: torch.Tensor  # (m, d) float32
    logits: torch.Tensor  # (m, v) float32
    bias: bool


def read_head(model: Any, batch: Batch) -> HeadView:
    """One forward pass that keeps what went into the head.

    Raises BadModel where the model names no head, or changes the logits after it (scales or caps them): the
    head's gradient is then another one.
    """
    import torch

    find = getattr(model, "get_output_embeddings", None)
    head = find() if find is not None else None
    if head is None:
        raise BadModel(
            f"{type(model).__name__} names no output head, so there is no gradient of it; take scope "
            "'last_block' or 'all'"
        )
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = head.register_forward_hook(lambda module, given, said: seen.append((given[0], said)))
    try:
        logits = scored_logits(model, batch)
    finally:
        hook.remove()
    hidden, said = (found.flatten(0, -2) for found in seen[-1])
    if said.data_ptr() != logits.data_ptr() and not torch.equal(said.float(), logits):
        raise BadModel(
            f"{type(model).__name__} scales or caps its logits after the head, where the closed form fails; "
            "take scope 'last_block' or 'all'"
        )
    return HeadView(hidden.float(), logits, getattr(head, "bias", None) is not None)
