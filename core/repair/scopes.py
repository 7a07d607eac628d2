"""Which weights a step may move: all of them, or the one block that the bad texts point at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.lm.load import LanguageModel, blocks
from core.lm.logprobs import token_logprobs
from core.lm.tokenise import collate
from core.repair.base import RepairParams
from core.training.loop import Choice, Pair, Scope
from core.training.losses import nll
from core.values import Reporter

if TYPE_CHECKING:
    import torch


class AllWeights:
    """Every weight moves in every step."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        lm.model.requires_grad_(True)

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is looked at."""

    def movable(self) -> dict[str, torch.nn.Parameter]:
        """All of them."""
        return dict(self.lm.model.named_parameters())

    def choose(self, pairs: Sequence[Pair]) -> Choice:
        """No choice."""
        return Choice()

    def close(self) -> None:
        """Nothing to undo."""


class DynamicBlock:
    """IRepair's slice (Algorithm 1): in each step anew, the block with the bad texts' largest gradient.

    The unit is one whole transformer block; embeddings, final norm and head never move.
    """

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        lm.model.requires_grad_(False)
        self.blocks = [list(block.parameters()) for block in blocks(lm.model)]

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is looked at: each step chooses anew."""

    def movable(self) -> dict[str, torch.nn.Parameter]:
        """The weights of all blocks."""
        inside = {id(weight) for block in self.blocks for weight in block}
        return {name: w for name, w in self.lm.model.named_parameters() if id(w) in inside}

    def close(self) -> None:
        """Every weight may move again."""
        self.lm.model.requires_grad_(True)

    def choose(self, pairs: Sequence[Pair]) -> Choice:
        """Go backward for the bad halves of these pairs; then only the chosen block requires gradients.

        The gradients of this pass never reach `.grad`, and the next one leaves the other blocks' None.
        """
        for block in self.blocks:
            self._open(block, True)
        batch = collate([p.bad for p in pairs], self.lm.tokenizer, self.lm.device)
        loss = nll(token_logprobs(self.lm.model, batch), batch.response)
        sensitivity = sensitivities(loss, self.blocks)
        chosen = strongest(sensitivity)
        for number, block in enumerate(self.blocks):
            self._open(block, number == chosen)
        return Choice(chosen, sensitivity, batch.tokens)

    @staticmethod
    def _open(block: Sequence[torch.nn.Parameter], move: bool) -> None:
        for weight in block:
            weight.requires_grad_(move)


def open_scope(lm: LanguageModel, params: RepairParams) -> Scope:
    """The scope that the settings name; made after the objective, which sees the untouched model."""
    scopes: dict[str, Callable[[LanguageModel], Scope]] = {"all": AllWeights, "dynamic": DynamicBlock}
    return scopes[params.scope](lm)


def sensitivities(loss: torch.Tensor, blocks: Sequence[Sequence[torch.nn.Parameter]]) -> tuple[float, ...]:
    """S[b]: L2 norm of the loss's gradient over all weights of block b, not divided by its size."""
    import torch

    gradients = iter(
        torch.autograd.grad(loss, list(itertools.chain.from_iterable(blocks)), materialize_grads=True)
    )
    norms = [
        torch.stack([torch.linalg.vector_norm(g) for g in itertools.islice(gradients, len(block))]).norm()
        for block in blocks
    ]
    return tuple(torch.stack(norms).tolist())


def strongest(sensitivity: Sequence[float]) -> int:
    """Number of the largest value; of equal ones the lowest number (F-1)."""
    return max(range(len(sensitivity)), key=lambda b: (sensitivity[b], -b))
