"""Runs a language model over the responses of a pool, batch by batch; shared by the model-based scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.lm.load import LanguageModel
from core.lm.logprobs import scored_logits
from core.lm.tokenise import Encoded, collate, encode_pairs
from core.scoring.base import Tools
from core.scoring.stream import stream
from core.values import Params, Pool, Reporter

if TYPE_CHECKING:
    import torch

    from core.lm.tokenise import Batch

PerToken = Callable[[Any, Any], Any]  # (model, batch) -> (m,) one number per scored token, row after row
Sides = tuple[Encoded, ...]  # the texts one row is scored by


class ResponseParams(Params):
    """How much of each text the model reads, and how many at once."""

    prompt_tokens: int = Field(64, ge=1, description="Prompt tokens kept (the last ones).")
    response_tokens: int = Field(64, ge=1, description="Response tokens scored (the first ones).")
    batch: int = Field(16, ge=1, description="Texts read at once; more is faster and takes more memory.")


def opened(tools: Tools) -> LanguageModel:
    """The language model of a score that needs one."""
    assert tools.model is not None  # in `needs`, checked by score()
    return tools.model


def mean_per_response(
    pool: Pool, params: ResponseParams, per_token: PerToken, tools: Tools, reporter: Reporter
) -> NDArray[np.float64]:
    """(n,) mean over each row's response tokens of what `per_token` gives for the scored tokens of a batch.

    Prompt tokens are read but not scored. NaN where a row has no response, or none that makes a token.
    """
    lm = opened(tools)
    sides = encode_sides(pool, lm, params, "response")

    def compute(part: list[Sides]) -> NDArray[np.float64]:
        return means(lm, [response for (response,) in part], per_token)

    return per_row(pool, sides, compute, params.batch, tools, reporter)


def encode_sides(pool: Pool, lm: LanguageModel, params: ResponseParams, *columns: str) -> dict[int, Sides]:
    """Row -> the named texts, each after the row's prompt; rows that have all of them and a token in each."""
    rows = np.flatnonzero(np.logical_and.reduce([pool.column(column) != "" for column in columns]))
    prompts = [str(text) for text in pool.column("prompt")[rows]]
    encoded = [
        encode_pairs(
            lm.tokenizer,
            prompts,
            [str(text) for text in pool.column(column)[rows]],
            prompt_tokens=params.prompt_tokens,
            response_tokens=params.response_tokens,
            context=lm.context,
        )
        for column in columns
    ]
    found = {int(row): sides for row, *sides in zip(rows, *encoded, strict=True)}
    return {row: tuple(sides) for row, sides in found.items() if all(side.scored > 0 for side in sides)}


def per_row(
    pool: Pool,
    sides: Mapping[int, Sides],
    compute: Callable[[list[Sides]], NDArray[np.float64]],
    batch: int,
    tools: Tools,
    reporter: Reporter,
) -> NDArray[np.float64]:
    """(n,) what `compute` gives for the rows in `sides`, `batch` rows at a time; NaN for the others.

    Rows of like length share a batch, so little is padded; the longest come first, so that a lack of memory
    shows at once and the remaining time errs on the safe side.
    """
    order = sorted(sides, key=lambda row: -sum(len(side.ids) for side in sides[row]))
    values = np.full(len(pool), np.nan)
    values[np.array(order, dtype=np.int64)] = stream(
        len(order),
        batch,
        lambda part: compute([sides[order[i]] for i in part]),
        tools,
        reporter,
        "responses scored",
    )
    return values


def means(lm: LanguageModel, texts: Sequence[Encoded], per_token: PerToken) -> NDArray[np.float64]:
    """(b,) mean over each text's scored tokens, from one forward pass."""
    import torch

    batch = collate(texts, lm.tokenizer, lm.device)
    with torch.inference_mode():
        found = per_token(lm.model, batch).cpu().numpy().astype(np.float64)
    owner = batch.response.nonzero()[:, 0].cpu().numpy()
    return np.bincount(owner, found, len(texts)) / np.bincount(owner, minlength=len(texts))


def token_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Negative log-likelihood in nats of every scored token of the batch, row after row."""
    import torch

    logits = scored_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, batch.ids[batch.response], reduction="none")
