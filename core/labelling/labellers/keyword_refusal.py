"""Marks answers as refusals by their opening words: a stopgap where nobody labelled them."""

from __future__ import annotations

import numpy as np

from core.labelling.base import Labels, labeller
from core.scorers import is_refusal
from core.values import Params, Pool, Reporter


class KeywordRefusalParams(Params):
    """Nothing to set."""


@labeller(
    title="Refusal by keywords",
    source="after Qi et al. 2024 (arXiv:2310.03693)",
    flags=("refusal",),
    weak="Keyword labels are clearly weaker than a classifier's or a person's: a refusal without a stock "
    "phrase is missed.",
)
def keyword_refusal(pool: Pool, params: KeywordRefusalParams, reporter: Reporter) -> Labels:
    """`refusal` of the response, or of the rejected text where there is none; "not_run" without either."""
    answers = pool.texts("response")
    values = ["not_run" if not text.strip() else "yes" if is_refusal(text) else "no" for text in answers]
    reporter.progress(len(pool), len(pool), "rows labelled")
    return {"refusal": np.array(values, dtype=object)}
