"""How badly the model predicts the response: mean negative log-likelihood per response token.

One-pass form of the loss score in selection.md, sections 6 and 8; the prompt is read and not scored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.scoring.base import Tools, scoring
from core.scoring.responses import ResponseParams, mean_per_response, token_loss
from core.values import Pool, Reporter


@scoring(
    title="Loss",
    source="selection.md 6 (reconstruction for language models)",
    direction="higher is harder",
    unit="nats per token",
    needs=("model",),
)
def loss(pool: Pool, params: ResponseParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """Mean NLL in nats; NaN where a row has no response."""
    return mean_per_response(pool, params, token_loss, tools, reporter)
