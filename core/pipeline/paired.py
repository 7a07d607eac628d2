"""Models measured alike, resampled together: every number as a ratio of sums over prompts, documents, items.

The unit of resampling is the prompt with all its samples, the document, the request (repair-and-evaluation
E5). All models of one draw see the same units, so that differences between any two of them are paired.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.evaluation.metrics.fluency import HIGHEST
from core.evaluation.metrics.perplexity import DISJOINT, STRIDED
from core.statistics import resampled_ratios
from core.values import Evaluation

Floats = NDArray[np.float64]
Finish = Literal["mean", "exp", "bits"]


@dataclass(frozen=True)
class Sums:
    """One number of one model as finish(sum of top / sum of bottom) over its units."""

    table: pd.DataFrame  # index: unit; columns top, bottom
    units: str  # what a unit is; numbers of the same units share their draws
    finish: Finish = "mean"


@dataclass(frozen=True)
class Measured:
    """One model's evaluation with the values that its numbers were made from."""

    evaluation: Evaluation
    sums: dict[str, Sums]  # metric, or metric:SET


def read_measured(folder: Path, evaluation: Evaluation) -> Measured:
    """What an evaluation's folder (a run's, or the base model's) keeps per prompt, document and item."""
    judged = ["nll", "tokens"] if "fluency" in evaluation.metrics else []
    columns = ["prompt_row", "toxicity", *judged]  # not the texts: they are most of the file
    generations = pd.read_parquet(folder / "generations.parquet", columns=columns)
    sums = _of_prompts(generations, evaluation.protocol.threshold)
    sums |= _of_fluency(generations) if judged else {}
    for file, read in TABLES.items():
        if (folder / file).is_file():
            sums |= read(pd.read_parquet(folder / file))
    for sets in (evaluation.texts, evaluation.lambada, evaluation.requests):
        main = next(iter(sets), "")  # its numbers stand among those of the whole
        sums |= {name: sums[f"{name}:{main}"] for name in sets.get(main, {}) if f"{name}:{main}" in sums}
    return Measured(evaluation, sums)


def _of_prompts(generations: pd.DataFrame, threshold: float) -> dict[str, Sums]:
    """Mean, maximum, any toxic, share of toxic ones, of each prompt's usable continuations."""
    usable = generations.dropna(subset=["toxicity"])
    usable = usable.assign(toxic=(usable["toxicity"] >= threshold).astype(float))
    grouped = usable.groupby("prompt_row")
    values = {
        "toxicity_mean": grouped["toxicity"].mean(),
        "emt": grouped["toxicity"].max(),
        "tp": grouped["toxic"].max(),
        "toxic_fraction": grouped["toxic"].mean(),
    }
    return {name: Sums(_ones(found), "prompts") for name, found in values.items()}


def _of_fluency(generations: pd.DataFrame) -> dict[str, Sums]:
    """Perplexity of the continuations under a larger model, the unusable ones left out as there."""
    scored = generations[(generations["tokens"] > 0) & np.isfinite(generations["nll"])]
    usable = scored[scored["nll"] / scored["tokens"] <= np.log(HIGHEST)]
    sums = usable.groupby("prompt_row")[["nll", "tokens"]].sum()
    return {"fluency": Sums(_table(sums["nll"], sums["tokens"], sums.index), "prompts", "exp")}


def _ones(values: pd.Series) -> pd.DataFrame:
    return _table(values, np.ones(len(values)), values.index)


def _table(top: ArrayLike, bottom: ArrayLike, index: pd.Index) -> pd.DataFrame:
    """From plain arrays: a study reads hundreds of these, and aligning columns takes most of pandas' time."""
    columns = {"top": np.asarray(top, dtype=np.float64), "bottom": np.asarray(bottom, dtype=np.float64)}
    return pd.DataFrame(columns, index=index)


def _of_texts(units: pd.DataFrame) -> dict[str, Sums]:
    """Perplexities and bits per byte of every text set, each from the windows that it is told of."""
    found: dict[str, Sums] = {}
    kinds: tuple[tuple[str, str, str, Finish], ...] = (
        ("perplexity", DISJOINT, "tokens", "exp"),
        ("perplexity_strided", STRIDED, "tokens", "exp"),
        ("bits_per_byte", STRIDED, "bytes", "bits"),
    )
    for name, table in units.groupby("text", sort=False):
        for metric, windows, bottom, finish in kinds:
            part = table[table["windows"] == windows]
            if bottom in part and len(part):
                sums = _table(part["nll"], part[bottom], pd.Index(part["unit"]))
                found[f"{metric}:{name}"] = Sums(sums, f"documents of {name}", finish)
    return found


def _of_words(items: pd.DataFrame) -> dict[str, Sums]:
    """Accuracy and perplexity of the last word of every LAMBADA set."""
    found: dict[str, Sums] = {}
    for name, table in items[items["tokens"] > 0].groupby("text", sort=False):
        indexed, units = table.set_index("item"), f"items of {name}"
        found[f"last_word_accuracy:{name}"] = Sums(_ones(indexed["greedy"]), units)
        found[f"last_word_perplexity:{name}"] = Sums(_ones(-indexed["logprob"]), units, "exp")
    return found


def _of_answers(answers: pd.DataFrame) -> dict[str, Sums]:
    """Refusal of safe and unsafe requests and harmful compliance of every set; failed answers are none."""
    found: dict[str, Sums] = {}
    kinds = (
        ("refusal_safe", False, ("refused",)),
        ("refusal_unsafe", True, ("refused",)),
        ("harmful_compliance", True, ("harmful", "answered")),
    )
    usable = answers[answers["verdict"] != "failed"]
    for name, table in usable.groupby("set", sort=False):
        indexed = table.set_index("request")
        for metric, harmful, verdicts in kinds:
            asked = indexed[indexed["harmful"].astype(bool) == harmful]
            if len(asked):
                hits = _ones(asked["verdict"].isin(verdicts))
                found[f"{metric}:{name}"] = Sums(hits, f"requests of {name}")
    return found


TABLES: dict[str, Callable[[pd.DataFrame], dict[str, Sums]]] = {
    "text_units.parquet": _of_texts,
    "lambada.parquet": _of_words,
    "answers.parquet": _of_answers,
}


def common_units(models: Sequence[Measured], metric: str) -> int:
    """How many units all of the models have for the metric."""
    sets = [set(model.sums[metric].table.index) for model in models if metric in model.sums]
    return len(set.intersection(*sets)) if len(sets) == len(models) else 0


def draws(models: Sequence[Measured], metric: str, *, common: bool = False) -> Floats:
    """The metric of every model, (1 + resamples, models): at [0] as measured, then once per resample.

    With `common`, only units that all of them have count; without, a model that lacks a unit (a prompt whose
    continuations all failed) is measured on those it has. NaN for a model without the metric.
    """
    known = [model.sums.get(metric) for model in models]
    there = [sums for sums in known if sums is not None]
    if not there:
        return np.full((1, len(models)), np.nan)
    joined = pd.concat([s.table for s in there], axis=1, join="inner" if common else "outer").sort_index()
    table = joined.to_numpy(dtype=np.float64, copy=True)
    for at, sums in enumerate(there):  # a unit that a model lacks has no part in its sums
        table[~joined.index.isin(sums.table.index), 2 * at : 2 * at + 2] = 0.0
    ratios = resampled_ratios(table[:, 0::2], table[:, 1::2], seed=zlib.crc32(there[0].units.encode()))
    out = np.full((len(ratios), len(models)), np.nan)
    out[:, [i for i, sums in enumerate(known) if sums is not None]] = _finished(ratios, there[0].finish)
    return out


def _finished(ratios: Floats, finish: Finish) -> Floats:
    if finish == "exp":
        with np.errstate(over="ignore"):
            return np.exp(ratios)
    return ratios / math.log(2) if finish == "bits" else ratios
