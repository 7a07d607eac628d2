"""Low-rank adapters (LoRA) as a scope: they alone move, and are merged into a plain model at the end.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, arXiv:2106.09685, section 4.1;
W + (alpha / rank) B A, with peft's own choice of matrices for each architecture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.errors import BadModel
from core.lm.load import LanguageModel
from core.training.parts import Choice, Pair
from core.values import Reporter

if TYPE_CHECKING:
    import torch


class Adapters:
    """The adapters of one training. They begin as nothing (B = 0): the model says what it said before."""

    def __init__(self, lm: LanguageModel, rank: int, alpha: float, seed: int) -> None:
        self.lm = lm
        self.tuner = _inject(lm, rank, alpha)
        lm.model.requires_grad_(False)
        for weight in self.movable().values():
            weight.requires_grad_(True)
        _start(self.movable(), seed)

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is looked at."""

    def movable(self) -> dict[str, torch.nn.Parameter]:
        """A and B of every adapter; peft's names, the same in every process."""
        return {name: w for name, w in self.lm.model.named_parameters() if ".lora_" in name}

    def choose(self, pairs: Sequence[Pair]) -> Choice:
        """No choice."""
        return Choice()

    def close(self) -> None:
        """Merge them: a plain model is left, its weights under their old names."""
        self.tuner.merge_and_unload()
        self.lm.model.requires_grad_(True)

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Inside, the model is the plain one that `close` would leave; afterwards it goes on bit for bit."""
        import torch

        places = [
            (self.lm.model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], module)
            for name, module in self.lm.model.named_modules()
            if hasattr(module, "lora_A") and hasattr(module, "base_layer")
        ]
        kept = [module.base_layer.weight.detach().clone() for _, _, module in places]
        try:
            for parent, name, module in places:
                module.merge()
                setattr(parent, name, module.base_layer)
            yield
        finally:
            for (parent, name, module), weight in zip(places, kept, strict=True):
                setattr(parent, name, module)
                if module.merged:
                    module.unmerge()
                with torch.no_grad():  # taking away what was added leaves rounding behind
                    module.base_layer.weight.copy_(weight)


def _inject(lm: LanguageModel, rank: int, alpha: float) -> Any:
    """Put adapters into the model in place."""
    import torch
    from peft import LoraConfig, LoraModel

    # peft warns, and turns the flag itself, where a matrix is stored the other way round (GPT-2's Conv1D)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        bias="none",
        fan_in_fan_out=_transposed(lm),
    )
    try:
        with torch.random.fork_rng(devices=[]):  # it draws first weights, which `_start` replaces
            return LoraModel(lm.model, config, "default")
    except ValueError as error:
        raise BadModel(
            f"peft knows no matrices to adapt in {type(lm.model).__name__} ({str(error).strip()[:150]}); "
            "take scope all, or one that moves a block"
        ) from error


def _transposed(lm: LanguageModel) -> bool:
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in lm.model.modules())


def _start(adapters: dict[str, torch.nn.Parameter], seed: int) -> None:
    """A is drawn as peft draws it, but from the run's seed and in main memory; B is 0 already."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(adapters.items()):
            if ".lora_A." in name:
                drawn = torch.empty(weight.shape, dtype=torch.float32)
                torch.nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
                weight.copy_(drawn)
