"""EL2N: how far the predicted distribution lies from the true token, averaged over the response.

Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021 (arXiv:2107.07075), section 2; per
token and averaged over response tokens for language models (selection.md, section 6; reconstruction).
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
    title="EL2N",
    source="arXiv:2107.07075 (reconstruction for language models)",
    direction="higher is harder",
    unit="distance in 0..1.41",
    needs=("model",),
)
def el2n(pool: Pool, params: ResponseParams, tools: Tools, reporter: Reporter) -> npt.NDArray[np.float64]:
    """Mean of ||softmax(logits) - onehot(token)|| over response tokens, in [0, sqrt 2]; else NaN."""
    return mean_per_response(pool, params, token_el2n, tools, reporter)


def token_el2n(model: Any, batch: Batch) -> Any:
    """EL2N of every scored token of the batch, row after row."""
    return error_norm(scored_logits(model, batch), batch.ids[batch.response])


def error_norm(logits: Any, targets: Any) -> Any:
    """||softmax(logits) - onehot(targets)||_2 of (m, v) logits and (m,) targets -> (m,)."""
    error = logits.softmax(dim=-1)
    error[range(len(targets)), targets] -= 1.0
    return error.norm(dim=-1)
