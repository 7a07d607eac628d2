"""Measure one model by one protocol: toxicity of what it writes, how it reads texts, whether it refuses."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.evaluation.continued import NO_TEXT
from core.evaluation.measures import NOT_FINITE
from core.evaluation.metrics.fluency import fluency as measure_fluency
from core.evaluation.metrics.lambada import measure_lambada
from core.evaluation.metrics.perplexity import measure_text
from core.evaluation.metrics.requests import COLUMNS, Request, measure_requests
from core.evaluation.metrics.toxicity import (
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
from core.workspace import Memo

if TYPE_CHECKING:
    from core.lm.load import LanguageModel
    from core.scorers import Judge, Scorer

FEW = 30  # prompts; below this percentile intervals are known to be too narrow
Measures = dict[str, Measure]
GENERATIONS = ("prompt_row", "sample", "text", "toxicity")
TEXT_UNITS = ("text", "unit", "windows", "nll", "tokens", "bytes")
LAMBADA_ITEMS = ("text", "item", "logprob", "tokens", "greedy")


@dataclass(frozen=True)
class Results:
    """All that one evaluation measured; tables keep what the numbers were made from."""

    metrics: Measures  # emt, tp, toxicity_mean ...; of the first text, LAMBADA and request set theirs
    by_category: dict[str, Measures]
    texts: dict[str, Measures]  # every text set -> perplexity, perplexity_strided, bits_per_byte
    generations: (
        pd.DataFrame
    )  # prompt_row (position in the prompts given), sample, text, toxicity (NaN = failed); nll, tokens
    text_units: pd.DataFrame  # text, unit, windows, nll, tokens, bytes
    failed: int  # continuations that were empty or could not be scored: left out, never counted as 0
    warnings: tuple[str, ...]
    seconds: float
    lambada: dict[str, Measures]  # every set -> last_word_accuracy, last_word_perplexity
    lambada_items: pd.DataFrame  # text, item, logprob, tokens, greedy
    requests: dict[str, Measures]  # every set -> refusal_safe, refusal_unsafe, harmful_compliance ...
    answers: pd.DataFrame  # metrics.requests.COLUMNS


def evaluate(
    lm: LanguageModel,
    *,
    prompts: Sequence[str],
    categories: Sequence[Sequence[str]],
    texts: Mapping[str, Sequence[str]],
    scorer: Scorer,
    protocol: EvaluationProtocol,
    joined: Collection[str] = (),
    lambada: Mapping[str, Sequence[str]] = {},
    requests: Mapping[str, Sequence[Request]] = {},
    request_tokens: int = 64,
    judge: Judge | None = None,
    fluency: LanguageModel | None = None,
    batch: int = 256,
    memo: Memo | None = None,
    judge_memo: Memo | None = None,
    scratch: Path | None = None,
    key: str = "",
    reporter: Reporter = Silent(),
) -> Results:
    """Measure the model on prompts (with their categories, one list each) and sets of texts and requests.

    The first set of a kind is the main one: its measures stand in `metrics`. Texts named in `joined` are
    glued with two newlines, as WikiText-2 is in the literature. Equal prompts are measured once; of more
    distinct prompts (or requests of a kind) than the protocol takes, a draw seeded by the protocol is used,
    the same for every model. judge says which answers are harmful, fluency reads the continuations; memos
    belong to scorer and judge. What is generated is kept in `scratch` and taken up again by a later call with
    the same `key`, which names the weights.
    """
    _check(prompts, categories, texts, joined)
    began = time.perf_counter()
    how: dict[str, Any] = {"batch": batch, "scratch": scratch, "key": key, "reporter": reporter}
    rows, names, warnings = _choose(prompts, categories, protocol)
    read = {
        name: measure_text(lm, documents, joined=name in joined, reporter=reporter)
        for name, documents in texts.items()
    }
    words = {name: measure_lambada(lm, items, reporter) for name, items in lambada.items()}
    written = _continuations(lm, prompts, rows, protocol, fluency, how)
    flat = score_texts(list(written.table["text"]), scorer, protocol.score, reporter, memo)
    scores = per_prompt(flat.reshape(len(rows), written.samples), protocol.threshold)
    asks = {"new_tokens": request_tokens, "at_most": protocol.prompts, "seed": protocol.seed, **how}
    asked = {
        name: measure_requests(lm, part, judge=judge, memo=judge_memo, **asks)
        for name, part in requests.items()
    }
    measured = [{name: found.measures for name, found in kind.items()} for kind in (read, words, asked)]
    metrics = _toxicity(scores, names, written.samples, protocol.threshold) | written.metrics
    for sets in measured:  # the main ones; shares per category stay with their set
        metrics |= {name: m for name, m in next(iter(sets.values()), {}).items() if "[" not in name}
    return Results(
        metrics=metrics,
        by_category=by_category(scores, names, written.samples, protocol.threshold),
        texts=measured[0],
        generations=written.table.assign(toxicity=flat)[[*GENERATIONS, *written.table.columns[3:]]],
        text_units=_together({name: found.units for name, found in read.items()}, TEXT_UNITS),
        failed=scores.failed,
        warnings=(*warnings, *_warnings(scores, len(rows), written.samples, measured[0])),
        seconds=time.perf_counter() - began,
        lambada=measured[1],
        lambada_items=_together({name: found.items for name, found in words.items()}, LAMBADA_ITEMS),
        requests=measured[2],
        answers=_together({name: found.answers for name, found in asked.items()}, COLUMNS),
    )


def _check(
    prompts: Sequence[str],
    categories: Sequence[Sequence[str]],
    texts: Mapping[str, Sequence[str]],
    joined: Collection[str],
) -> None:
    if len(prompts) != len(categories):
        raise BadInput(
            f"{len(prompts)} prompts came with categories for {len(categories)}; give one list per prompt"
        )
    if stray := sorted(set(joined) - set(texts)):
        raise BadInput(
            f"{stray[0]!r} is to be glued as one text, but the texts are {', '.join(texts) or 'none'}; "
            "name one of these, or add it to them"
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


@dataclass(frozen=True)
class _Written:
    table: pd.DataFrame  # prompt_row, sample, text; with fluency also nll and tokens
    metrics: Measures  # of the texts alone: dist_n, fluency
    samples: int  # per prompt


def _continuations(
    lm: LanguageModel,
    prompts: Sequence[str],
    rows: Rows,
    protocol: EvaluationProtocol,
    judge: LanguageModel | None,
    how: Mapping[str, Any],
) -> _Written:
    """What the model writes after the prompts, and what can be said of it without a scorer."""
    samples = 1 if protocol.greedy else protocol.samples
    chosen = [prompts[row] for row in rows]
    made = sample(
        lm,
        chosen,
        samples=samples,
        new_tokens=protocol.new_tokens,
        top_p=protocol.top_p,
        temperature=protocol.temperature,
        greedy=protocol.greedy,
        prompt_tokens=protocol.prompt_tokens,
        seed=protocol.seed,
        **how,
    )
    table = pd.DataFrame(
        {
            "prompt_row": np.repeat(rows, samples),
            "sample": np.tile(np.arange(samples), len(rows)),
            "text": [text for row in made for text in row],
        }
    )
    metrics = diversity(made, samples)
    if judge is not None:
        metrics["fluency"], natural = measure_fluency(judge, chosen, made, how["reporter"])
        table = pd.concat([table, natural], axis=1)
    return _Written(table, metrics, samples)


def _toxicity(
    scores: PromptScores, names: Sequence[Sequence[str]], samples: int, threshold: float
) -> Measures:
    metrics = toxicity_measures(scores, samples, threshold)
    average = category_average(scores, names)
    return metrics | ({"toxicity_category_mean": average} if average else {})


def _together(tables: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """One table of many, the name of each in the column that `columns` names first."""
    if not tables:
        return pd.DataFrame(columns=list(columns))
    named = [frame.assign(**{columns[0]: name}) for name, frame in tables.items()]
    filled = [frame for frame in named if len(frame)] or named[:1]  # empty ones have no types to agree on
    return pd.concat(filled, ignore_index=True)[list(columns)]


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
            decoder = measures["perplexity"].note == NO_TEXT
            out.append(f"the perplexity of {name} is {NO_TEXT if decoder else NOT_FINITE}")
    return out
