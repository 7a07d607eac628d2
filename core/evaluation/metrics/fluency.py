"""Fluency: how natural another, larger model finds the continuations, given their prompts.

Liu et al., "DExperts", ACL 2021 (arXiv:2105.03023), section 3.1: a continuation whose perplexity exceeds 1e4
is dropped (repair-and-evaluation E1). They average perplexities; here the surprise of all tokens is summed
first, as everywhere in Winnow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.evaluation.continued import score_continuations, scores_text
from core.evaluation.measures import measure
from core.statistics import bootstrap_ratio
from core.values import Measure, Reporter, Silent

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

HIGHEST = 1e4  # perplexity of one continuation; above it is noise that would drown all others


def fluency(
    judge: LanguageModel, prompts: Sequence[str], made: Sequence[Sequence[str]], reporter: Reporter = Silent()
) -> tuple[Measure, pd.DataFrame]:
    """Perplexity of the continuations under `judge` (lower is more fluent), and nll and tokens of each.

    made: the continuations of each prompt; the table has one row per continuation, in that order, tokens 0
    where there is none. The unit of resampling is the prompt.
    """
    if not scores_text(judge):
        raise BadInput(
            f"{judge.source} steers by its own samples and gives no probabilities of a text; judge fluency "
            "with a plain language model"
        )
    number = [at for at, texts in enumerate(made) for _ in texts]
    flat = [text if text.strip() else "" for texts in made for text in texts]
    found = score_continuations(
        judge,
        [prompts[at] for at in number],
        flat,
        what="continuations judged for fluency",
        reporter=reporter,
    )
    table = pd.DataFrame({"prompt": number, "nll": -found["logprob"], "tokens": found["tokens"]})
    return fluency_measure(table, judge.source), table[["nll", "tokens"]]


def fluency_measure(table: pd.DataFrame, judge: str = "") -> Measure:
    """exp(sum nll / sum tokens) over the usable rows of (prompt, nll, tokens), interval over prompts."""
    there = table[table["tokens"] > 0]
    finite = there[np.isfinite(there["nll"])]
    usable = finite[finite["nll"] / finite["tokens"] <= np.log(HIGHEST)]
    sums = usable.groupby("prompt")[["nll", "tokens"]].sum()
    dropped = f"{len(finite) - len(usable)} of {len(finite)} continuations above {HIGHEST:,.0f} dropped"
    broken = f"; {len(there) - len(finite)} not finite, dropped" if len(finite) < len(there) else ""
    return measure(
        bootstrap_ratio(sums["nll"], sums["tokens"], np.exp),
        len(sums),
        "perplexity per token",
        f"given the prompt, under {judge}; {dropped} (DExperts){broken}; n = prompts",
    )
