"""Log-probabilities that a model gives to the scored tokens of a batch, in nats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel
    from core.lm.tokenise import Batch


def scored_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Logits that predict the scored tokens, row after row without padding: (n, vocabulary) float32."""
    import torch

    wanted = batch.response[:, 1:]  # position j - 1 predicts token j
    # Padding stands on the right, where causal attention never looks back from: every position may be told to
    # be real, which keeps the fast causal kernel and lets positions count from the left.
    with _only(model, wanted) as selecting:
        logits: torch.Tensor = model(
            input_ids=batch.ids[:, :-1], attention_mask=torch.ones_like(batch.ids[:, :-1]), use_cache=False
        ).logits
    return (logits[0] if selecting else logits[wanted]).float()


def token_logprobs(model: Any, batch: Batch) -> torch.Tensor:
    """Log p(token | all before it), (b, t) float32; 0 where the token is not scored."""
    return _at_targets(scored_logits(model, batch), batch)


def text_logits(lm: LanguageModel, batch: Batch) -> torch.Tensor:
    """As scored_logits, of the model as it is used: with its decoder, where it has one.

    Raises BadInput where the decoder gives given text no probability (`not lm.decoder.scores_text`).
    """
    if lm.decoder is None:
        return scored_logits(lm.model, batch)
    logits: torch.Tensor = lm.decoder.text_logits(lm, batch)
    return logits


def text_logprobs(lm: LanguageModel, batch: Batch) -> torch.Tensor:
    """As token_logprobs, of the model as it is used: with its decoder, where it has one."""
    return _at_targets(text_logits(lm, batch), batch)


def _at_targets(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Log p of the scored tokens (b, t) from the logits (n, v) that predict them; 0 elsewhere."""
    import torch

    found = -torch.nn.functional.cross_entropy(logits, batch.ids[batch.response], reduction="none")
    return torch.zeros(batch.ids.shape, device=found.device).masked_scatter(batch.response, found)


def sequence_sums(logprobs: torch.Tensor) -> torch.Tensor:
    """Summed log-probability of each row's scored tokens, (b,): what DPO compares."""
    return logprobs.sum(1)


@contextmanager
def _only(model: Any, wanted: torch.Tensor) -> Iterator[bool]:
    """Let the output head see the wanted positions only, as one row: (b, t, d) -> (1, n, d).

    Head and softmax over a large vocabulary cost more than a small model's blocks, and prompts and padding
    need neither. What some models do to the logits next (scale, cap) is element-wise and fits either shape.
    Yields False, and changes nothing, where the model names no output head.
    """
    find = getattr(model, "get_output_embeddings", None)
    head = find() if find is not None else None
    if head is None:
        yield False
        return

    def select(module: Any, args: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return args[0][wanted][None]

    hook = head.register_forward_pre_hook(select)
    try:
        yield True
    finally:
        hook.remove()
