"""What a decoder is: a change of the next-token logits while generating, kept beside a model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel
    from core.lm.reader import Reader
    from core.lm.tokenise import Batch


class Decoder(Protocol):
    """Where a model has one, tokens are drawn from the softmax of what it makes of the model's logits.

    It cuts off unlikely tokens itself, before it moves the rest; sampling then filters by nucleus no more.
    """

    @property
    def kind(self) -> str:
        """Its name in decoder.json."""

    @property
    def scores_text(self) -> bool:
        """Whether it gives every text a probability, so that perplexity and the like can be measured."""

    @property
    def needs_reward(self) -> bool:
        """Whether it still lacks a reward function (core.lm.decoders.with_reward)."""

    def settings(self) -> dict[str, Any]:
        """All that decides its logits beside the model's own: plain values, side models by hash."""

    def reader(self, lm: LanguageModel) -> Reader:
        """A new generation with `lm`; raises MissingInput where a reward is needed and not there."""

    def text_logits(self, lm: LanguageModel, batch: Batch) -> torch.Tensor:
        """Logits that predict the scored tokens, (n, vocabulary); raises BadInput unless `scores_text`."""
