"""DExperts: the base model's logits plus the difference of an expert's and an anti-expert's.

Liu et al., "DExperts: Decoding-Time Controlled Text Generation with Experts and Anti-Experts", ACL 2021
(arXiv:2105.03023), section 2: z = z_base + alpha (z_expert - z_anti), the base's unlikely tokens cut off
first (repair-and-evaluation C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BadModel
from core.lm.logprobs import scored_logits
from core.lm.nucleus import keep_nucleus
from core.lm.reader import ModelReader

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel
    from core.lm.reader import Reader
    from core.lm.tokenise import Batch


@dataclass(frozen=True)
class DExperts:
    """Where expert or anti-expert is None, the base model stands in for it."""

    alpha: float
    top_p: float  # mass of the base's nucleus; tokens outside it are never drawn
    expert: LanguageModel | None = None
    anti: LanguageModel | None = None
    kind: str = "dexperts"
    scores_text: bool = True  # by the combined logits without the nucleus, which would forbid real text
    needs_reward: bool = False

    def settings(self) -> dict[str, Any]:
        """Both numbers, and the side models by hash."""
        sides = {"expert": self.expert, "anti": self.anti}
        hashes = {name: side.hash if side else "" for name, side in sides.items()}
        return {"kind": self.kind, "alpha": self.alpha, "top_p": self.top_p, **hashes}

    def reader(self, lm: LanguageModel) -> Reader:
        """Three models read the same tokens, each with its own cache."""
        return _Reader(self, [ModelReader(one.model) for one in self._models(lm)])

    def text_logits(self, lm: LanguageModel, batch: Batch) -> torch.Tensor:
        """The combined logits at the scored tokens, no token cut off: (n, vocabulary) float32."""
        return self.combine([scored_logits(one.model, batch) for one in self._models(lm)], filtered=False)

    def combine(self, logits: list[torch.Tensor], *, filtered: bool = True) -> torch.Tensor:
        """z_base, filtered by nucleus, + alpha (z_expert - z_anti); `logits` of base, expert, anti there."""
        base, *sides = (z.float() for z in logits)
        expert = sides.pop(0) if self.expert is not None else base
        anti = sides.pop(0) if self.anti is not None else base
        kept = keep_nucleus(base, self.top_p) if filtered else base
        return kept + self.alpha * (expert - anti)

    def _models(self, lm: LanguageModel) -> list[LanguageModel]:
        return [lm, *(side for side in (self.expert, self.anti) if side is not None)]


class _Reader:
    """Base, expert and anti-expert in step."""

    def __init__(self, decoder: DExperts, readers: list[ModelReader]) -> None:
        self._decoder, self._readers = decoder, readers

    def start(self, prompts: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        return self._decoder.combine([reader.start(prompts, owner) for reader in self._readers])

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._decoder.combine([reader.step(tokens) for reader in self._readers])

    def keep(self, rows: torch.Tensor) -> None:
        for reader in self._readers:
            reader.keep(rows)


def check_side(lm: LanguageModel, side: LanguageModel) -> None:
    """BadModel unless `side` speaks the tokens of `lm` and is a plain model itself."""
    widths = [one.model.get_input_embeddings().num_embeddings for one in (lm, side)]
    if side.tokenizer.get_vocab() != lm.tokenizer.get_vocab() or widths[0] != widths[1]:
        raise BadModel(
            f"{side.source} has other tokens than {lm.source}, beside which it decodes; expert and "
            "anti-expert must come from the same base model"
        )
    if side.decoder is not None:
        raise BadModel(f"{side.source} has a decoder of its own; an expert must be a plain model")
