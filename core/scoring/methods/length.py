"""How long a text is: the plainest baseline, and a check of whether another score only measures length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.scoring.base import Text, Tools, scoring, texts_of
from core.values import Params, Pool, Reporter


class LengthParams(Params):
    """Which text is measured."""

    text: Text = Field(
        "answer",
        description="Text that is measured; answer = the response, or the rejected text where there is none.",
    )


@scoring(title="Length", source="baseline", direction="higher is longer", unit="words")
def length(pool: Pool, params: LengthParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """Words between white space; NaN where the text is missing."""
    words = [len(text.split()) for text in texts_of(pool, params.text)]
    reporter.progress(len(pool), len(pool), "rows measured")
    return np.array([count or np.nan for count in words], dtype=np.float64)
