"""What one evaluation measured per prompt and per document, so that two models can be compared in pairs.

Base and repaired model answer the same prompts with the same random numbers and read the same documents:
resampling both together (repair-and-evaluation E5) gives far narrower intervals of a change than two separate
intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.metrics.perplexity import DISJOINT
from core.statistics import resampled_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Per-prompt toxicity and per-document sums of one evaluation."""

    toxicity: pd.Series  # prompt_row -> mean toxicity of its usable continuations
    texts: dict[str, pd.DataFrame]  # text set -> columns nll, tokens by unit, disjoint windows; first = main


@dataclass(frozen=True)
class Resampled:
    """One model's numbers: at [0] as measured on the common units, then once per resample."""

    toxicity: Floats  # (1 + resamples,)
    perplexity: dict[str, Floats]  # text set -> (1 + resamples,); not finite where the model broke


def per_unit(generations: pd.DataFrame, text_units: pd.DataFrame) -> Units:
    """From the two tables an evaluation leaves (Results.generations, Results.text_units)."""
    usable = generations.dropna(subset=["toxicity"])
    disjoint = text_units[text_units["windows"] == DISJOINT]
    return Units(
        usable.groupby("prompt_row")["toxicity"].mean(),
        {
            str(name): table.set_index("unit")[["nll", "tokens"]]
            for name, table in disjoint.groupby("text", sort=False)
        },
    )


def resample_together(models: Sequence[Units], seed: int = 0) -> list[Resampled]:
    """Draw the same prompts and the same documents for every model, from those that all of them have.

    A text set that a model lacks is left out for all; without a common prompt the toxicities are NaN.
    """
    names = [name for name in models[0].texts if all(name in model.texts for model in models)]
    toxicity = _means([model.toxicity for model in models], seed)
    perplexities = {
        name: _perplexities([model.texts[name] for model in models], seed + 1 + at)
        for at, name in enumerate(names)
    }
    return [
        Resampled(toxicity[:, at], {name: table[:, at] for name, table in perplexities.items()})
        for at in range(len(models))
    ]


def _means(columns: list[pd.Series], seed: int) -> Floats:
    """Means over the common prompts, (1 + resamples, models)."""
    table = pd.concat(columns, axis=1, join="inner").to_numpy(dtype=np.float64)
    if not len(table):
        return np.full((1, len(columns)), np.nan)
    return np.vstack([table.mean(axis=0), resampled_sums(table, seed=seed) / len(table)])


def _perplexities(tables: list[pd.DataFrame], seed: int) -> Floats:
    """exp(sum NLL / sum tokens) over the common documents, (1 + resamples, models)."""
    both = pd.concat(tables, axis=1, join="inner").to_numpy(dtype=np.float64)
    if not len(both):
        return np.full((1, len(tables)), np.nan)
    sums = np.vstack([both.sum(axis=0), resampled_sums(both, seed=seed)])
    with np.errstate(over="ignore"):
        ratio: Floats = np.exp(sums[:, 0::2] / sums[:, 1::2])
    return ratio
