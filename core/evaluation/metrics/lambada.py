"""LAMBADA: is a text's last word the model's own, and how surprised is it by that word?

Paperno et al., "The LAMBADA dataset", ACL 2016 (arXiv:1606.06031), with the task and numbers of
`lambada_openai` in lm-evaluation-harness (repair-and-evaluation E3). Perplexity of LAMBADA as running text,
as IRepair reports it, is another quantity and belongs to the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.evaluation.continued import NO_TEXT, score_continuations, scores_text
from core.evaluation.measures import NOT_FINITE, measure
from core.statistics import Interval, bootstrap_ratio, wilson
from core.values import Measure, Reporter, Silent

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

MEASURES = ("last_word_accuracy", "last_word_perplexity")


@dataclass(frozen=True)
class LambadaResult:
    """Measures of one set, and what each item gave."""

    measures: dict[str, Measure]  # MEASURES
    items: pd.DataFrame  # item (position in the texts given), logprob (nats, of the word), tokens, greedy


def split_last_word(text: str) -> tuple[str, str] | None:
    """All but the last word, and " " with the last word, split at the last space; None for a lone word."""
    context, _, word = text.strip().rpartition(" ")
    return (context, " " + word) if context.strip() else None


def measure_lambada(lm: LanguageModel, texts: Sequence[str], reporter: Reporter = Silent()) -> LambadaResult:
    """last_word_accuracy (higher is better) and last_word_perplexity (lower is better).

    Accuracy: share of texts whose last word is, token by token, what the model would say greedily.
    Perplexity: exp(-mean over texts of the word's summed log-probability), so per word and not per token.
    Texts of a single word are left out and counted. Raises BadInput when no other is left.
    """
    split = [split_last_word(text) for text in texts]
    kept = [at for at, parts in enumerate(split) if parts is not None]
    if not kept:
        raise BadInput(
            f"the last word of {len(texts)} texts was to be predicted, but none has two words; give texts "
            "such as LAMBADA's, a few sentences each"
        )
    if not scores_text(lm):
        nothing = pd.DataFrame(columns=["item", "logprob", "tokens", "greedy"])
        return LambadaResult({name: Measure(value=None, note=NO_TEXT) for name in MEASURES}, nothing)
    pairs = [parts for parts in split if parts is not None]
    items = score_continuations(
        lm, [c for c, _ in pairs], [w for _, w in pairs], what="last words", reporter=reporter
    )
    items.insert(0, "item", kept)
    return LambadaResult(lambada_measures(items, len(texts)), items)


def lambada_measures(items: pd.DataFrame, texts: int) -> dict[str, Measure]:
    """The two measures from the items' sums; `texts` were given in all."""
    scored = items[items["tokens"] > 0]
    n, hits = len(scored), int(scored["greedy"].sum())
    left_out = f"; {texts - n} of {texts} texts left out (one word, or too long a one)" if n < texts else ""
    finite = bool(np.isfinite(scored["logprob"]).all())
    share = Interval(hits / n, *wilson(hits, n)) if n and finite else Interval(np.nan, np.nan, np.nan)
    surprise = bootstrap_ratio(-scored["logprob"], np.ones(n), np.exp)
    broken = "" if finite else f"{NOT_FINITE}; "
    return {
        "last_word_accuracy": measure(
            share, n, "share of texts", f"{broken}greedy, all tokens of the word{left_out}"
        ),
        "last_word_perplexity": measure(
            surprise, n, "per word", f"{broken}exp of the mean summed surprise; n = texts{left_out}"
        ),
    }
