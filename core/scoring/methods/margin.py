"""Margin: how clearly the model prefers the true token to the best other one, averaged over the response.

One-pass form for language models of AUM's margin (Pleiss et al., "Identifying Mislabeled Data using the Area
Under the Margin Ranking", NeurIPS 2020, arXiv:2001.10528; selection.md, section 7.2; Winnow definition): AUM
itself averages it over the epochs of a logged repair, which costs as much as the repair it wants to save.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.lm.logprobs import scored_logits
from core.lm.tokenise import Batch
from core.scoring.base import Tools, scoring
from core.scoring.responses import ResponseParams, mean_per_response
from core.values import Pool, Reporter


@scoring(
    title="Margin",
    source="arXiv:2001.10528 (Winnow definition for language models)",
    direction="higher is easier",
    unit="nats per token",
    needs=("model",),
)
def margin(pool: Pool, params: ResponseParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """Mean of log p(token) - max over other tokens of log p; negative = another is preferred; else NaN."""
    return mean_per_response(pool, params, token_margin, tools, reporter)


def token_margin(model: Any, batch: Batch) -> Any:
    """Margin of every scored token of the batch, row after row."""
    return margins(scored_logits(model, batch), batch.ids[batch.response])


def margins(logits: Any, targets: Any) -> Any:
    """z_y - max_{v != y} z_v of (m, v) logits, which are overwritten, and (m,) targets -> (m,).

    The normaliser of the softmax stands on both sides and cancels: one pass that looks for a maximum will do.
    """
    true = logits.gather(1, targets[:, None])
    return true[:, 0] - logits.scatter_(1, targets[:, None], -float("inf")).amax(dim=1)
