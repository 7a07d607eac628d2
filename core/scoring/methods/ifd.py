"""IFD (instruction-following difficulty): how little the prompt helps the model to predict the response.

Li et al., "From Quantity to Quality: Boosting LLM Performance with Self-Guided Data Selection for Instruction
Tuning", NAACL 2024 (arXiv:2308.12032), section 2.2; selection.md, section 9.3: the mean token loss of the
response after its prompt over that of the response alone. Only partly meaningful for continuation data, whose
prompt is the beginning of a sentence and no instruction: there it tells how strongly the two hang together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.lm.tokenise import Encoded, encode_prompts
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


@scoring(
    title="IFD",
    source="arXiv:2308.12032",
    direction="higher is harder: the prompt helps less to predict the response",
    unit="ratio of losses (above 1: the prompt misleads)",
    needs=("model",),
)
def ifd(pool: Pool, params: ResponseParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """Loss with the prompt over loss without; NaN without prompt or response, or where the latter loss is 0.

    Both losses run over the same tokens, the first one included: alone, it follows the start token. The
    paper drops rows above 1; here they are kept.
    """
    lm = opened(tools)
    start = encode_prompts(lm.tokenizer, [""], 0)[0]
    instructed = pool.column("prompt") != ""
    sides = {
        row: (response, Encoded((*start, *response.ids[response.start :]), len(start)))
        for row, (response,) in encode_sides(pool, lm, params, "response").items()
        if instructed[row]
    }

    def compute(part: list[Sides]) -> NDArray[np.float64]:
        told = means(lm, [response for response, _ in part], token_loss)
        alone = means(lm, [response for _, response in part], token_loss)
        return told / np.where(alone > 0, alone, np.nan)

    return per_row(pool, sides, compute, params.batch, tools, reporter)
