"""How toxic a text is, by the toxicity scorer that is named (published, or trained for demo or lab)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.scoring.base import Text, Tools, scoring, texts_of
from core.scoring.stream import toxicities
from core.values import Params, Pool, Reporter


class ToxicityParams(Params):
    """Which text is scored."""

    text: Text = Field(
        "answer",
        description="Text that is scored; answer = the response, or the rejected text where there is none.",
    )


@scoring(
    title="Toxicity",
    source="Detoxify, github.com/unitaryai/detoxify",
    direction="higher is more toxic",
    unit="probability",
    needs=("scorer",),
)
def toxicity(pool: Pool, params: ToxicityParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """The scorer's class "toxicity" in [0, 1]; scores of two scorers are not comparable."""
    return toxicities(texts_of(pool, params.text), tools, reporter)
