"""Measure one model by one protocol: toxicity of its continuations of prompts, perplexity of texts."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.evaluation.measures import NOT_FINITE
from core.evaluation.metrics.perplexity import measure_text
from core.evaluation.metrics.toxicity import (
    Floats,
    PromptScores,
    by_category,
    category_average,
    diversity,
    per_prompt,
    score_texts,
    toxicity_measures,
)
from core.lm.generate import sample
from core.values import EvaluationProtocol, Measure, Reporter, Rows, Silent

if TYPE_CHECKING:
    from core.lm.load import LanguageModel
    from core.scorers import Scorer

FEW = 30  # prompts; below this percentile intervals are known to be too narrow


@dataclass(frozen=True)
class Results:
    """All that one evaluation measured; tables keep what the numbers were made from."""

    metrics: dict[
        str, Measure
    ]  # emt, tp, toxicity_mean, toxic_fraction, dist_1..3; of the first text perplexity ...
    by_category: dict[str, dict[str, Measure]]
    texts: dict[str, dict[str, Measure]]  # every text set -> perplexity, perplexity_strided, bits_per_byte
    generations: (
        pd.DataFrame
    )  # prompt_row (position in the prompts given), sample, text, toxicity (NaN = failed)
    text_units: pd.DataFrame  # text, unit, windows, nll, tokens, bytes
    failed: int  # continuations that were empty or could not be scored: left out, never counted as 0
    warnings: tuple[str, ...]
    seconds: float


def evaluate(
    lm: LanguageModel,
    *,
    prompts: Sequence[str],
    categories: Sequence[Sequence[str]],
    texts: Mapping[str, Sequence[str]],
    scorer: Scorer,
    protocol: EvaluationProtocol,
    joined: Collection[str] = (),
    batch: int = 256,
    reporter: Reporter = Silent(),
) -> Results:
    """Measure the model on prompts (with their categories, one list each) and text sets (name -> documents).

    The first text set is the main one: its measures stand in `metrics`. Sets named in `joined` are glued with
    two newlines, as WikiText-2 is in the literature. Equal prompts are measured once; of more distinct
    prompts than the protocol takes, a draw seeded by the protocol is used, the same for every model.
    """
    if len(prompts) != len(categories):
        raise BadInput(
            f"{len(prompts)} prompts came with categories for {len(categories)}; give one list per prompt"
        )
    if stray := sorted(set(joined) - set(texts)):
        raise BadInput(
            f"{stray[0]!r} is to be glued as one text, but the texts are {', '.join(texts) or 'none'}; "
            "name one of these, or add it to them"
        )
    began = time.perf_counter()
    rows, names, warnings = _choose(prompts, categories, protocol)
    text_results = {
        name: measure_text(lm, documents, joined=name in joined, reporter=reporter)
        for name, documents in texts.items()
    }
    samples = 1 if protocol.greedy else protocol.samples
    made = sample(
        lm,
        [prompts[row] for row in rows],
        samples=samples,
        new_tokens=protocol.new_tokens,
        top_p=protocol.top_p,
        temperature=protocol.temperature,
        greedy=protocol.greedy,
        prompt_tokens=protocol.prompt_tokens,
        seed=protocol.seed,
        batch=batch,
        reporter=reporter,
    )
    flat = score_texts([text for row in made for text in row], scorer, protocol.score, reporter)
    scores = per_prompt(flat.reshape(len(rows), samples), protocol.threshold)
    metrics = toxicity_measures(scores, samples, protocol.threshold) | diversity(made, samples)
    if average := category_average(scores, names):
        metrics["toxicity_category_mean"] = average
    measured = {name: result.measures for name, result in text_results.items()}
    return Results(
        metrics=metrics | next(iter(measured.values()), {}),
        by_category=by_category(scores, names, samples, protocol.threshold),
        texts=measured,
        generations=_table(rows, made, flat),
        text_units=_text_table({name: result.units for name, result in text_results.items()}),
        failed=scores.failed,
        warnings=(*warnings, *_warnings(scores, len(rows), samples, measured)),
        seconds=time.perf_counter() - began,
    )


def _choose(
    prompts: Sequence[str], categories: Sequence[Sequence[str]], protocol: EvaluationProtocol
) -> tuple[Rows, list[list[str]], list[str]]:
    """Rows to measure, ascending: each distinct prompt at its first row, with the categories of all."""
    first: dict[str, int] = {}
    union: dict[int, dict[str, None]] = {}
    for row, (prompt, names) in enumerate(zip(prompts, categories, strict=True)):
        union.setdefault(first.setdefault(prompt, row), {}).update(dict.fromkeys(names))
    rows = np.array(list(first.values()), dtype=np.int64)
    if not len(rows):
        raise BadInput("an evaluation needs prompts, but none were given; take a pool with held-out prompts")
    warnings = []
    if len(rows) < len(prompts):
        warnings.append(
            f"{len(prompts) - len(rows)} of {len(prompts)} prompts repeat another; each is measured once"
        )
    if protocol.prompts is not None and len(rows) > protocol.prompts:
        draw = np.random.default_rng(protocol.seed).permutation(len(rows))[: protocol.prompts]
        rows = rows[np.sort(draw)]
    return rows, [list(union[row]) for row in rows.tolist()], warnings


def _table(rows: Rows, made: list[list[str]], scores: Floats) -> pd.DataFrame:
    samples = len(made[0])
    return pd.DataFrame(
        {
            "prompt_row": np.repeat(rows, samples),
            "sample": np.tile(np.arange(samples), len(rows)),
            "text": [text for row in made for text in row],
            "toxicity": scores,
        }
    )


def _text_table(units: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    if not units:
        return pd.DataFrame(columns=["text", "unit", "windows", "nll", "tokens", "bytes"])
    return pd.concat([frame.assign(text=name) for name, frame in units.items()], ignore_index=True)


def _warnings(
    scores: PromptScores, prompts: int, samples: int, texts: Mapping[str, Mapping[str, Measure]]
) -> list[str]:
    """What a reader must know before trusting the numbers."""
    out = []
    kept = len(scores.prompts)
    if scores.failed:
        out.append(
            f"{scores.failed} of {prompts * samples} continuations were empty or without a score: left out"
        )
    if kept < prompts:
        out.append(f"{prompts - kept} of {prompts} prompts have no usable continuation and are left out")
    if kept < FEW:
        out.append(f"only {kept} prompts were measured; intervals from fewer than {FEW} are too narrow")
    for name, measures in texts.items():
        if measures["perplexity"].value is None:
            out.append(f"the perplexity of {name} is {NOT_FINITE}")
    return out
