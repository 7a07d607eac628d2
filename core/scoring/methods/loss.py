"""How badly the model predicts the response: mean negative log-likelihood per response token.

One-pass form of the loss score in selection.md, sections 6 and 8; the prompt is read and not scored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.lm.logprobs import scored_logits
from core.lm.tokenise import Batch
from core.scoring.base import Tools, scoring
from core.scoring.responses import ResponseParams, mean_per_response
from core.values import Pool, Reporter


@scoring(
    title="Loss",
    source="selection.md 6 (reconstruction for language models)",
    direction="higher is harder",
    unit="nats per token",
    needs=("model",),
)
def loss(pool: Pool, params: ResponseParams, tools: Tools, reporter: Reporter) -> npt.NDArray[np.float64]:
    """Mean NLL in nats; NaN where a row has no response."""
    assert tools.model is not None  # in `needs`, checked by score()
    return mean_per_response(pool, tools.model, params, _token_loss, reporter)


def _token_loss(model: Any, batch: Batch) -> Any:
    import torch

    logits = scored_logits(model, batch)
    return torch.nn.functional.cross_entropy(logits, batch.ids[batch.response], reduction="none")
