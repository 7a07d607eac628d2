"""Log-probability gap of a pair: how much more likely the good text is to the model than the toxic one.

selection.md, section 9.3 (Winnow definition): log pi(y+|x) - log pi(y-|x) before repair, the quantity whose
change DPO's implicit reward margin measures (Rafailov et al., NeurIPS 2023, arXiv:2305.18290, section 4). Low
or negative: the model prefers the toxic text, so the pair needs repair.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.scoring.base import Tools, scoring
from core.scoring.responses import (
    ResponseParams,
    Sides,
    encode_sides,
    means,
    opened,
    per_row,
    token_loss,
)
from core.values import Pool, Reporter


class GapParams(ResponseParams):
    """How a text's token log-probabilities become one number."""

    # Every further token lowers a sum: on the demo pool the summed gap has a rank correlation of -0.83 with
    # the difference of the lengths (mean: 0.06), so that ranking by it would rank by length.
    normalise: Literal["mean", "sum"] = Field(
        "mean",
        description="mean = per token, so that lengths do not matter; sum = as DPO compares them, which "
        "favours the shorter text.",
    )


@scoring(
    title="Log-probability gap",
    source="arXiv:2305.18290 (Winnow definition)",
    direction="higher is easier: the model already prefers the good response",
    unit="nats per token, or nats where summed",
    needs=("model",),
)
def log_prob_gap(pool: Pool, params: GapParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """Log-probability of `response` minus that of `rejected`, each after the prompt; NaN without both."""
    lm = opened(tools)

    def compute(part: list[Sides]) -> NDArray[np.float64]:
        texts = [side for sides in part for side in sides]
        log_p = -means(lm, texts, token_loss)
        if params.normalise == "sum":
            log_p *= [text.scored for text in texts]
        good, bad = log_p.reshape(-1, 2).T
        return good - bad

    sides = encode_sides(pool, lm, params, "response", "rejected")
    return per_row(pool, sides, compute, max(1, params.batch // 2), tools, reporter)
