"""RAD: the likeliest next tokens, each moved by what a reward model says of the text it would make.

Deng and Raffel, "Reward-Augmented Decoding: Efficient Controlled Text Generation With a Unidirectional
Reward Model", EMNLP 2023 (arXiv:2310.09520), algorithm 1: logit + beta * reward over the top k, all others
forbidden (repair-and-evaluation C). The reward reads text, so scorer and model need not share tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, BrokenContract, MissingInput
from core.lm.reader import ModelReader

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel
    from core.lm.reader import Reader
    from core.lm.tokenise import Batch

Reward = Callable[[list[str]], Any]  # texts -> (n,), in [0, 1]; NaN = could not be scored
MEMO = 200_000  # texts remembered at once, about 50 MB


@dataclass(frozen=True)
class RAD:
    """Toward what `reward` says with `inverse` False, away from it with `inverse` True (toxicity)."""

    beta: float
    k: int
    inverse: bool
    scorer: str = ""  # whose scores the reward is, as decoder.json names it; "" = the default
    reward: Reward | None = None
    kind: str = "rad"
    scores_text: bool = False  # all but k tokens have no probability

    @property
    def needs_reward(self) -> bool:
        """Whether with_reward is still to be called."""
        return self.reward is None

    def settings(self) -> dict[str, Any]:
        """The numbers, and the scorer by name."""
        return {n: getattr(self, n) for n in ("kind", "beta", "k", "inverse", "scorer")}

    def reader(self, lm: LanguageModel) -> Reader:
        """The model's own reader, its rows kept as tokens beside it to be read as text."""
        if self.reward is None:
            raise MissingInput(
                f"{lm.source} decodes by reward (RAD) and was given no reward function; attach the scorer's "
                "with core.lm.decoders.with_reward"
            )
        return _Reader(self, ModelReader(lm.model), self.reward, lm.tokenizer)

    def text_logits(self, lm: LanguageModel, batch: Batch) -> torch.Tensor:
        """Never: raises BadInput."""
        raise BadInput(
            f"{lm.source} decodes by reward (RAD), which gives all but {self.k} tokens no probability: it "
            "has no perplexity and cannot score given text; measure its continuations instead"
        )

    def moved(self, logits: torch.Tensor, toxicity: torch.Tensor) -> torch.Tensor:
        """Reward added beta times, shapes equal; scores are cut to [0, 1] first, 1 - score if inverse."""
        score = toxicity.clamp(0, 1)
        return logits + self.beta * (1 - score if self.inverse else score)


class Remembered:
    """A reward that is asked about each text once, however often the text comes up."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward
        self._known: dict[str, float] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Scores (n,) of the texts, NaN where one cannot be scored."""
        if len(self._known) > MEMO:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            values = np.asarray(self._reward(new), dtype=np.float64)
            if values.shape != (len(new),):
                raise BrokenContract(f"the reward gave {values.shape} values for {len(new)} texts")
            self._known.update(zip(new, values.tolist(), strict=True))
        return np.array([self._known[text] for text in texts])


class _Reader:
    """The model's logits, of which the k largest are moved by their rewards and all others forbidden.

    A row with a text that cannot be scored becomes not finite: its continuation counts as failed.
    """

    def __init__(self, decoder: RAD, reader: ModelReader, reward: Reward, tokenizer: Any) -> None:
        self._decoder, self._reader, self._reward, self._tokenizer = decoder, reader, reward, tokenizer
        self._ids: Any = None

    def start(self, prompts: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        logits = self._reader.start(prompts, owner)
        self._ids = prompts[owner]
        return self._steered(logits)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        import torch

        self._ids = torch.cat([self._ids, tokens[:, None]], dim=1)
        return self._steered(self._reader.step(tokens))

    def keep(self, rows: torch.Tensor) -> None:
        self._reader.keep(rows)
        self._ids = self._ids[rows]

    def _steered(self, logits: torch.Tensor) -> torch.Tensor:
        import torch

        logits = logits.float()
        top, tokens = logits.topk(min(self._decoder.k, logits.shape[-1]), dim=-1)
        said = np.asarray(self._reward(self._texts(tokens)), dtype=np.float32)
        moved = self._decoder.moved(top, torch.from_numpy(said).to(top).view_as(top))
        return torch.full_like(logits, -torch.inf).scatter(-1, tokens, moved)

    def _texts(self, tokens: torch.Tensor) -> list[str]:
        """Each row's text with each of its next tokens (r, k), row after row.

        The whole is decoded each time: a token alone may be half a letter, or lose its space.
        """
        import torch

        ahead = self._ids[:, None].expand(-1, tokens.shape[1], -1)
        rows = torch.cat([ahead, tokens[..., None]], dim=-1).flatten(0, 1).tolist()
        return [
            str(text)
            for text in self._tokenizer.batch_decode(
                rows, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        ]
