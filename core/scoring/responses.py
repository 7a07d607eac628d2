"""Runs a language model over the responses of a pool, batch by batch; shared by the model-based scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.lm.load import LanguageModel
from core.lm.tokenise import collate, encode_pairs
from core.values import Params, Pool, Reporter

if TYPE_CHECKING:
    import torch

    from core.lm.tokenise import Batch


class ResponseParams(Params):
    """How much of each text the model reads, and how many at once."""

    prompt_tokens: int = Field(64, ge=1, description="Prompt tokens kept (the last ones).")
    response_tokens: int = Field(64, ge=1, description="Response tokens scored (the first ones).")
    batch: int = Field(16, ge=1, description="Texts read at once; more is faster and takes more memory.")


def mean_per_response(
    pool: Pool,
    language_model: LanguageModel,
    params: ResponseParams,
    per_token: Callable[[Any, Batch], torch.Tensor],
    reporter: Reporter,
) -> NDArray[np.float64]:
    """(n,) mean over each row's response tokens of what `per_token` gives for the scored tokens of a batch.

    Prompt tokens are read but not scored. NaN where a row has no response, or none that makes a token.
    """
    import torch

    values = np.full(len(pool), np.nan)
    rows = np.flatnonzero(pool.column("response") != "")
    encoded = encode_pairs(
        language_model.tokenizer,
        [str(t) for t in pool.column("prompt")[rows]],
        [str(t) for t in pool.column("response")[rows]],
        prompt_tokens=params.prompt_tokens,
        response_tokens=params.response_tokens,
        context=language_model.context,
    )
    order = sorted((i for i, e in enumerate(encoded) if e.scored > 0), key=lambda i: -len(encoded[i].ids))
    for start in range(0, len(order), params.batch):
        part = order[start : start + params.batch]
        batch = collate([encoded[i] for i in part], language_model.tokenizer, language_model.device)
        with torch.inference_mode():
            found = per_token(language_model.model, batch).double()
            owner = batch.response.nonzero()[:, 0]
            sums = torch.zeros(len(part), dtype=torch.float64, device=found.device).index_add(0, owner, found)
        values[rows[part]] = (sums / batch.response.sum(1)).cpu().numpy()
        reporter.progress(start + len(part), len(order), "responses scored")
    return values
