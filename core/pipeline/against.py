"""One model against another: paired differences of every number, by category, and text by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import BadInput, MissingInput, UnknownName
from core.evaluation import BASE, differences, unlike
from core.evaluation.measures import measure
from core.evaluation.tradeoff import INCREASE, all_measures, higher_is_better
from core.pipeline.evaluations import held_out_prompts, read_evaluation
from core.pipeline.paired import Measured, common_units, draws, read_measured
from core.pipeline.runs import find_run
from core.pool import load_pool
from core.statistics import Interval, bootstrap_paired, percentile_interval
from core.values import Evaluation, Measure
from core.workspace import Workspace

Verdict = Literal["better", "worse", "not distinguishable"]
WHOLE = ("toxicity_mean", "emt", "tp", "toxic_fraction", "fluency")
# fewer units all moving one way are a matter of chance: 2 / 2^5 > 5 %, the two-sided sign test
FEWEST = 6
COLUMNS = ["category", "n", "before", "after", "change", "low", "high", "verdict"]


@dataclass(frozen=True)
class Difference:
    """One metric of both models, and what changed from the first to the second."""

    metric: str
    first: Measure
    second: Measure
    change: Measure  # paired: second - first, or second / first - 1 for perplexities; the unit says which
    verdict: Verdict  # of the second: whether the whole interval lies on the good side, or on the bad one


@dataclass(frozen=True)
class Against:
    """Two models measured alike."""

    first: str
    second: str
    rows: list[Difference]


@dataclass(frozen=True)
class _Model:
    name: str
    folder: Path
    evaluation: Evaluation


def against(ws: Workspace, first: str, second: str) -> Against:
    """Every number that both have, with the paired bootstrap of its change over the units both have.

    `first` and `second` are ids of runs; "base" is the base model of the other. BadInput where they were not
    measured alike, MissingInput where one was not measured.
    """
    one, two = _alike(ws, first, second)
    pair = [read_measured(model.folder, model.evaluation) for model in (one, two)]
    return Against(first, second, [_difference(pair, name) for name in _shared(pair)])


def _alike(ws: Workspace, first: str, second: str) -> tuple[_Model, _Model]:
    """Both models, if their numbers may stand side by side."""
    if first == second:
        raise BadInput(
            f"{first!r} was to be compared with itself; name two different runs, or 'base' and one"
        )
    one, two = _model(ws, first, second), _model(ws, second, first)
    if differ := differences(one.evaluation, two.evaluation):
        raise BadInput(
            f"{first} and {second} cannot be compared, they were measured differently: {'; '.join(differ)}. "
            "Measure both by one protocol, scorer, pool and set of texts"
        )
    return one, two


def _model(ws: Workspace, name: str, other: str) -> _Model:
    run = find_run(ws, other if name == BASE else name)
    if run is None:
        raise UnknownName(
            f"there is no finished run {other if name == BASE else name!r}; `run list` shows them"
        )
    if name == BASE:
        key = run.manifest.base_evaluation
        found, folder = (read_evaluation(ws, key), ws.find("evaluations", key)) if key else (None, None)
        if found is None or folder is None:
            raise MissingInput(f"the base model of run {other} was not measured; repair with an evaluation")
        return _Model(name, folder, found)
    if run.evaluation is None:
        raise MissingInput(f"run {name} was not measured; repair again with an evaluation")
    return _Model(name, run.folder, run.evaluation)


def _shared(pair: Sequence[Measured]) -> list[str]:
    """Metrics that both have, asked for alike and by the same judges."""
    other = unlike(*(model.evaluation for model in pair))
    there = [n for n in pair[0].sums if n in pair[1].sums and (n in WHOLE or ":" in n)]
    return [name for name in there if name not in other]


def _difference(pair: Sequence[Measured], metric: str) -> Difference:
    first, second = (
        all_measures(model.evaluation).get(metric, Measure(value=None, note="n/a: not among the numbers"))
        for model in pair
    )
    drawn = draws(pair, metric, common=True)
    relative = metric.startswith(INCREASE)
    with np.errstate(invalid="ignore", divide="ignore"):
        changes = drawn[:, 1] / drawn[:, 0] - 1 if relative else drawn[:, 1] - drawn[:, 0]
    unit = "share of the first model's" if relative else first.unit
    n = common_units(pair, metric)
    interval = percentile_interval(float(changes[0]), changes[1:][np.isfinite(changes[1:])])
    if n < 2:  # noqa: PLR2004 - one unit shows no spread
        interval = Interval(interval.value, np.nan, np.nan)
    note = "paired bootstrap over the units that both models have"
    change = measure(interval, n, unit, note)
    return Difference(metric, first, second, change, verdict(change, higher_is_better(metric)))


def verdict(change: Measure, higher: bool) -> Verdict:
    """What a change with its interval says; `higher` is better.

    Unknown bounds carry no claim, and neither do fewer than FEWEST units, whatever they resample to.
    """
    if change.low is None or change.high is None or change.low <= 0 <= change.high or change.n < FEWEST:
        return "not distinguishable"
    return "better" if (change.low > 0) == higher else "worse"


def category_change(ws: Workspace, base: str, run: str) -> pd.DataFrame:
    """Mean toxicity per harm category before (`base`) and after (`run`), most harm left first.

    Columns: category, n (prompts that both have), before, after, change, low, high (95 %, paired bootstrap
    over the category's prompts), verdict. A prompt of two categories counts in both.
    """
    one, two = _alike(ws, base, run)
    _, categories = _prompts(ws, one.evaluation)
    values = pd.concat([_per_prompt(one.folder), _per_prompt(two.folder)], axis=1, join="inner")
    members: dict[str, list[int]] = {}
    for row in values.index:
        for name in dict.fromkeys(categories[row]):
            members.setdefault(name, []).append(row)
    rows = [_category(name, values.loc[members[name]].to_numpy()) for name in sorted(members)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.iloc[np.argsort(-frame["after"] * frame["n"], kind="stable")].reset_index(drop=True)


def _category(name: str, values: NDArray[np.float64]) -> tuple[object, ...]:
    change = bootstrap_paired(values[:, 0], values[:, 1])
    said = verdict(measure(change, len(values), ""), higher=False)
    return (name, len(values), *values.mean(axis=0).tolist(), *change, said)


def quotas_from(frame: pd.DataFrame) -> dict[str, float]:
    """Share of the next selection for each category of `category_change`, by the harm that is left.

    A Winnow definition: mean toxicity left times the category's prompts, over the sum of these; shares add up
    to 1, and a category without toxicity left gets none. Empty where no harm is left at all.
    """
    left = (frame["after"] * frame["n"]).fillna(0.0).clip(lower=0.0)
    if left.sum() <= 0:
        return {}
    shares = zip(frame["category"].astype(str), (left / left.sum()).tolist(), strict=True)
    return {name: share for name, share in shares if share > 0}


def side_by_side(ws: Workspace, first: str, second: str) -> pd.DataFrame:
    """What both models said to each prompt, in plain text, sample by sample.

    Columns: prompt_row, sample, prompt, first_text, first_toxicity, second_text, second_toxicity; a toxicity
    of NaN is a continuation that failed.
    """
    one, two = _alike(ws, first, second)
    prompts, _ = _prompts(ws, one.evaluation)
    keys = ["prompt_row", "sample"]
    sides = [
        pd.read_parquet(model.folder / "generations.parquet", columns=[*keys, "text", "toxicity"]).rename(
            columns={"text": f"{side}_text", "toxicity": f"{side}_toxicity"}
        )
        for model, side in ((one, "first"), (two, "second"))
    ]
    frame = sides[0].merge(sides[1], on=keys, how="outer").sort_values(keys, ignore_index=True)
    frame.insert(2, "prompt", [prompts[row] for row in frame["prompt_row"]])
    return frame


def _per_prompt(folder: Path) -> pd.Series:
    table = pd.read_parquet(folder / "generations.parquet", columns=["prompt_row", "toxicity"])
    return table.dropna(subset=["toxicity"]).groupby("prompt_row")["toxicity"].mean()


def _prompts(ws: Workspace, found: Evaluation) -> tuple[list[str], list[list[str]]]:
    """The prompts that the evaluation's rows count, with their categories."""
    pool = load_pool(ws, found.pool)
    if (pool.fingerprint, pool.split_hash) != (found.pool_fingerprint, found.split_hash):
        raise BadInput(
            f"pool {found.pool!r} has changed since these models were measured on it, so its prompts are not "
            "theirs; bring it back as it was, or measure anew"
        )
    return held_out_prompts(pool, found.split)
