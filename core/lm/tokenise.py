"""Text to token ids: prompt and response apart, never an end token unasked, with a mask of what is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BadModel

if TYPE_CHECKING:
    import torch

CLOSING = frozenset(".,;:!?)]}'\u2019\u201d%\u2026")  # marks that follow a word without a space


@dataclass(frozen=True)
class Encoded:
    """One text as token ids; the ids from `start` on are scored, those before are only looked at."""

    ids: tuple[int, ...]
    start: int
    cut: bool = False  # whether tokens of the text were left out to fit

    @property
    def scored(self) -> int:
        """How many tokens are scored; the first of all can never be, nothing predicts it."""
        return len(self.ids) - max(self.start, 1)


@dataclass(frozen=True)
class Batch:
    """Texts filled up on the right to one length; what a mask leaves out never enters a number."""

    ids: torch.Tensor  # (b, t) int64
    attention: torch.Tensor  # (b, t) bool, real tokens
    response: torch.Tensor  # (b, t) bool, scored tokens; never the first of a row

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        return Batch(self.ids.to(device), self.attention.to(device), self.response.to(device))

    @property
    def tokens(self) -> int:
        """Real tokens, padding left out."""
        return int(self.attention.sum())


def end_id(tokenizer: Any) -> int:
    """Id of the end-of-text token."""
    if tokenizer.eos_token_id is None:
        raise BadModel("the model's tokenizer has no end-of-text token; set eos_token and save it again")
    return int(tokenizer.eos_token_id)


def start_ids(tokenizer: Any) -> list[int]:
    """The tokens this tokenizer itself puts before every text: [BOS] for Llama and its kin, [] for GPT-2."""
    first = tokenizer("a").input_ids[:1]
    return first if tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id] else []


def joiner(prompt: str, response: str) -> str:
    """A space where prompt and response would run into one word, else nothing."""
    apart = not prompt or not response or prompt[-1].isspace() or response[0].isspace()
    return "" if apart or response[0] in CLOSING else " "


def encode_prompts(tokenizer: Any, prompts: Sequence[str], limit: int) -> list[list[int]]:
    """Token ids of each prompt, its last `limit` ones; an empty prompt is one start token (BOS, else end)."""
    return [ids for ids, _ in _heads(tokenizer, prompts, limit)]


def _heads(tokenizer: Any, prompts: Sequence[str], limit: int) -> list[tuple[list[int], bool]]:
    """Token ids of each prompt, and whether some were left out."""
    start = start_ids(tokenizer)
    kept = [(ids[-limit:] if limit else [], len(ids) > limit) for ids in _plain(tokenizer, prompts)]
    return [(start + ids if ids else start or [_lone_start(tokenizer)], cut) for ids, cut in kept]


def _lone_start(tokenizer: Any) -> int:
    """What stands before a text that begins from nothing: BOS, else the end token."""
    return end_id(tokenizer) if tokenizer.bos_token_id is None else int(tokenizer.bos_token_id)


def encode_pairs(
    tokenizer: Any,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    prompt_tokens: int = 64,
    response_tokens: int = 64,
    context: int = 1024,
    end_token: bool = False,
    score_prompt: bool = False,
) -> list[Encoded]:
    """Each prompt followed by its response: the prompt's last tokens, the response's first ones.

    Both are tokenised on their own, so that no token lies across the boundary. `end_token` closes every
    response that was not cut; without it the text never teaches the model to stop. `score_prompt` scores all
    tokens, as plain text. In a short context the prompt gives way first.
    """
    texts = [joiner(p, r) + r for p, r in zip(prompts, responses, strict=True)]
    end = [end_id(tokenizer)] if end_token else []
    heads = _heads(tokenizer, prompts, prompt_tokens)
    fixed = len(start_ids(tokenizer))  # never cut
    encoded = []
    for (head, short), whole in zip(heads, _plain(tokenizer, texts), strict=True):
        tail = whole[:response_tokens] if len(whole) > response_tokens else whole + end
        over = min(max(0, len(head) + len(tail) - context), len(head) - max(1, fixed))
        kept = head[:fixed] + head[fixed + over :]
        ids = tuple((kept + tail)[:context])
        cut = short or len(whole) > response_tokens or len(head) + len(tail) > context
        encoded.append(Encoded(ids, 1 if score_prompt else min(len(kept), len(ids)), cut))
    return encoded


def collate(texts: Sequence[Encoded], tokenizer: Any, device: str = "cpu") -> Batch:
    """One batch, as long as its longest text."""
    import torch

    # what stands there is never looked at: padding is on the right and told by position, not by id, so that a
    # real end token stays scored although it often doubles as the padding token
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
    longest = max(2, *(len(text.ids) for text in texts))  # two, so that even one token has a shape
    ids = torch.tensor([[*t.ids, *[pad] * (longest - len(t.ids))] for t in texts], dtype=torch.int64)
    place = torch.arange(longest)
    attention = place < torch.tensor([[len(t.ids)] for t in texts])
    response = attention & (place >= torch.tensor([[max(t.start, 1)] for t in texts]))
    return Batch(ids, attention, response).to(device)


def _plain(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids without any special token; longer than the model's context is legal here, it is cut afterwards."""
    if not texts:
        return []
    found = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False).input_ids
    return [list(ids) for ids in found]
