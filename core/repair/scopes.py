"""Which weights a step may move: all of them, adapters, or one block that the bad texts point at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.lm.load import LanguageModel, blocks
from core.lm.logprobs import token_logprobs
from core.lm.tokenise import Encoded, collate
from core.repair.adapters import Adapters
from core.repair.base import RepairParams
from core.training.losses import nll, sequence_nll
from core.training.parts import Choice, Pair, Scope
from core.values import Reporter

if TYPE_CHECKING:
    import torch

ROWS = 8  # bad texts per backward pass of the averaged gradient; its value does not depend on it


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


class _Blocks:
    """One whole transformer block moves at a time; embeddings, final norm and head never do."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        lm.model.requires_grad_(False)
        self.blocks = block_weights(lm)

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is looked at: each step chooses anew."""

    def movable(self) -> dict[str, torch.nn.Parameter]:
        """The weights of all blocks."""
        inside = {id(weight) for block in self.blocks for weight in block}
        return {name: w for name, w in self.lm.model.named_parameters() if id(w) in inside}

    def close(self) -> None:
        """Every weight may move again."""
        self.lm.model.requires_grad_(True)

    def let_move(self, chosen: int) -> None:
        """Only this block requires gradients: backward ends there, and the others' stay None."""
        for number, block in enumerate(self.blocks):
            for weight in block:
                weight.requires_grad_(number == chosen)


class DynamicBlock(_Blocks):
    """IRepair's slice (Algorithm 1): in each step anew, the block with the bad texts' largest gradient.

    With `pick` = weakest it is the ablation Min.
    """

    def __init__(self, lm: LanguageModel, pick: Callable[[Sequence[float]], int] | None = None) -> None:
        super().__init__(lm)
        self.pick = pick or strongest

    def choose(self, pairs: Sequence[Pair]) -> Choice:
        """Go backward for the bad halves of these pairs; then only the chosen block requires gradients.

        The gradients of this pass never reach `.grad`, and the next one leaves the other blocks' None.
        """
        for weight in itertools.chain.from_iterable(self.blocks):
            weight.requires_grad_(True)
        batch = collate([p.bad for p in pairs], self.lm.tokenizer, self.lm.device)
        loss = nll(token_logprobs(self.lm.model, batch), batch.response)
        sensitivity = sensitivities(loss, self.blocks)
        chosen = self.pick(sensitivity)
        self.let_move(chosen)
        return Choice(chosen, sensitivity, batch.tokens)


class FixedBlock(_Blocks):
    """The ablation Fixed: one block for the whole run, chosen before it by the averaged bad gradient."""

    def __init__(self, lm: LanguageModel, rows: int, seed: int) -> None:
        super().__init__(lm)
        self.rows, self.seed = rows, seed
        self.choice = Choice()

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Choose by up to `rows` random bad texts; the same ones each time, so that a resumed run agrees."""
        bad = [p.bad for p in pairs if p.bad.scored > 0]
        order = np.random.default_rng([self.seed, 2]).permutation(len(bad))[: self.rows]
        sensitivity = mean_gradient_norms(self.lm, [bad[i] for i in np.sort(order)], reporter)
        chosen = strongest(sensitivity)
        self.choice = Choice(chosen, sensitivity)
        self.let_move(chosen)

    def movable(self) -> dict[str, torch.nn.Parameter]:
        """The weights of the chosen block."""
        return {name: w for name, w in super().movable().items() if w.requires_grad}

    def choose(self, pairs: Sequence[Pair]) -> Choice:
        """The block that was chosen, with the sensitivities it was chosen by."""
        return self.choice


def open_scope(lm: LanguageModel, params: RepairParams, seed: int = 0) -> Scope:
    """The scope that the settings name; made after the objective, which sees the untouched model."""
    scopes: dict[str, Callable[[], Scope]] = {
        "all": lambda: AllWeights(lm),
        "lora": lambda: Adapters(lm, params.lora_rank, params.lora_alpha, seed),
        "dynamic": lambda: DynamicBlock(lm),
        "min": lambda: DynamicBlock(lm, weakest),
        "fixed": lambda: FixedBlock(lm, params.slice_rows, seed),
    }
    return scopes[params.scope]()


def block_weights(lm: LanguageModel) -> list[list[torch.nn.Parameter]]:
    """The weights of each transformer block, in order."""
    return [list(block.parameters()) for block in blocks(lm.model)]


def sensitivities(loss: torch.Tensor, blocks: Sequence[Sequence[torch.nn.Parameter]]) -> tuple[float, ...]:
    """S[b]: L2 norm of the loss's gradient over all weights of block b, not divided by its size."""
    import torch

    gradients = iter(
        torch.autograd.grad(loss, list(itertools.chain.from_iterable(blocks)), materialize_grads=True)
    )
    return _norms([list(itertools.islice(gradients, len(block))) for block in blocks])


def mean_gradient_norms(
    lm: LanguageModel, texts: Sequence[Encoded], reporter: Reporter, what: str = "bad texts for the slice"
) -> tuple[float, ...]:
    """Per block, the L2 norm of the gradient averaged over the texts' NLL: opposite ones cancel (F-1c).

    Leaves only the blocks' weights requiring gradients, and no gradient behind.
    """
    import torch

    own = block_weights(lm)
    lm.model.requires_grad_(False)
    for weight in itertools.chain.from_iterable(own):
        weight.requires_grad_(True)
    for at in range(0, len(texts), ROWS):
        batch = collate(texts[at : at + ROWS], lm.tokenizer, lm.device)
        part = sequence_nll(token_logprobs(lm.model, batch), batch.response).sum() / len(texts)
        part.backward()  # type: ignore[no-untyped-call]
        reporter.progress(min(at + ROWS, len(texts)), len(texts), what)
    found = _norms([[w.grad if w.grad is not None else torch.zeros_like(w) for w in block] for block in own])
    lm.model.zero_grad(set_to_none=True)
    return found


def _norms(gradients: Sequence[Sequence[torch.Tensor]]) -> tuple[float, ...]:
    import torch

    norms = [torch.stack([torch.linalg.vector_norm(g) for g in block]).norm() for block in gradients]
    return tuple(torch.stack(norms).tolist())


def strongest(sensitivity: Sequence[float]) -> int:
    """Number of the largest value; of equal ones the lowest number (F-1)."""
    return max(range(len(sensitivity)), key=lambda b: (sensitivity[b], -b))


def weakest(sensitivity: Sequence[float]) -> int:
    """Number of the smallest value; of equal ones the lowest number."""
    return min(range(len(sensitivity)), key=lambda b: (sensitivity[b], b))
