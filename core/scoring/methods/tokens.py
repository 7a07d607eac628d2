"""How many tokens a row has for the model: what a budget in tokens counts."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.lm.tokenise import joiner
from core.scoring.base import Tools, scoring
from core.values import Params, Pool, Reporter

CHUNK = 1024  # texts tokenised at once


class TokensParams(Params):
    """Which texts of a row are counted."""

    sides: Literal["response", "both"] = Field(
        "response",
        description="response = prompt and response; both = the rejected text as well, for methods that "
        "train on pairs. Each text counts once, and whole.",
    )


@scoring(
    title="Tokens",
    source="baseline",
    direction="higher is longer",
    unit="tokens",
    needs=("tokenizer",),
)
def tokens(pool: Pool, params: TokensParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """Tokens of prompt and response (and rejected text), without start and end tokens; 0 where no text is."""
    prompts = [str(text) for text in pool.column("prompt")]
    texts = [prompts]
    for column in ("response", "rejected") if params.sides == "both" else ("response",):
        answers = (str(text) for text in pool.column(column))
        texts.append([joiner(p, a) + a for p, a in zip(prompts, answers, strict=True)])
    total = np.zeros(len(pool), dtype=np.float64)
    for start in range(0, len(pool), CHUNK):
        part = slice(start, start + CHUNK)
        for side in texts:
            total[part] += [
                len(ids)
                for ids in tools.tokenizer(
                    side[part], add_special_tokens=False, truncation=False, verbose=False
                ).input_ids
            ]
        reporter.progress(min(start + CHUNK, len(pool)), len(pool), "rows counted")
    return total
