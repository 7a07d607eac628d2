"""Toxicity gap of a pair: how much more toxic the rejected text is than the response.

selection.md, section 9.3 (Winnow definition). A pair with a small gap teaches little about toxicity, one
below zero teaches the wrong thing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.scoring.base import Tools, scoring
from core.scoring.stream import toxicities
from core.values import Params, Pool, Reporter


class ToxicityGapParams(Params):
    """Nothing to set."""


@scoring(
    title="Toxicity gap",
    source="selection.md 9.3 (Winnow definition)",
    direction="higher is a clearer pair: the rejected text is more toxic than the response",
    unit="difference of probabilities",
    needs=("scorer",),
)
def toxicity_gap(
    pool: Pool, params: ToxicityGapParams, tools: Tools, reporter: Reporter
) -> NDArray[np.float64]:
    """Toxicity of `rejected` minus that of `response`, in [-1, 1]; NaN where a row lacks either."""
    good, bad = ([str(text) for text in pool.column(name)] for name in ("response", "rejected"))
    both = [bool(g.strip() and b.strip()) for g, b in zip(good, bad, strict=True)]
    wanted = [text if paired else "" for side in (good, bad) for text, paired in zip(side, both, strict=True)]
    response, rejected = toxicities(wanted, tools, reporter).reshape(2, -1)
    return rejected - response
