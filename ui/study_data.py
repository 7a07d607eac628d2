"""The numbers of one comparison, read and resampled once per set of runs, as the figures take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import pipeline
from core.errors import WinnowError
from core.evaluation import TradePoint, pareto_front
from core.evaluation.headline import ratio_of_averages
from core.evaluation.tradeoff import all_measures, hypervolume
from core.pipeline import Run, TradeGroup
from core.pipeline.study_numbers import FULL, Cell, Numbers, StudyArm
from core.pipeline.study_results import metrics, utility_metrics
from core.pipeline.trade_off import FULL_SHARE, LENGTH
from core.values import Budget, Evaluation, Measure
from core.values.study import StudySpec
from core.workspace import Workspace, content_key
from ui import study_names
from ui.study_looks import Looks
from ui.trade_off_marks import Axes, Dot, Mark

GAINS = {"TR": "Mean toxicity", "emt": "EMT", "tp": "TP", "toxic_fraction": "Toxic fraction"}


@dataclass(frozen=True)
class Compared:
    """Runs measured alike, the cells they answer, and their numbers."""

    ws: Workspace
    spec: StudySpec | None  # None: all comparable runs
    group: TradeGroup
    cells: tuple[Cell, ...]
    looks: Looks

    @property
    def name(self) -> str:
        """What files and caches call it."""
        return self.spec.name if self.spec is not None else "runs"

    @property
    def labels(self) -> tuple[tuple[str, str, str], ...]:
        """The runs with what charts call them: by these, caches know a comparison."""
        return tuple((c.strategy, c.method, c.run.id) for c in self.cells if c.run is not None)

    @property
    def known(self) -> Numbers:
        """Everything the runs measured."""
        return _numbers(str(self.ws.root), self.group.key, self.labels, self)


@st.cache_resource(max_entries=6, show_spinner="Reading what the runs measured")
def _numbers(root: str, key: str, labels: tuple[tuple[str, str, str], ...], _of: Compared) -> Numbers:
    return Numbers(_of.ws, _of.cells)


def compared(ws: Workspace, spec: StudySpec | None, group: TradeGroup, found: Sequence[Cell]) -> Compared:
    """The group's runs; `found` are a study's cells, without a study every run is a cell of its own."""
    ids = {r.id for r in group.runs}
    cells = [c for c in found if c.run is not None and c.run.id in ids] if spec else cells_of(ws, group.runs)
    looks = Looks.of((c.strategy for c in cells), (c.method for c in cells))
    return Compared(ws, spec, group, tuple(cells), looks)


def cells_of(ws: Workspace, runs: Sequence[Run]) -> list[Cell]:
    """Each run as a cell; settings that differ under one name become variants, "dpo" and "dpo (2)"."""
    ordered = sorted(runs, key=lambda r: (r.share >= FULL_SHARE, r.manifest.created, r.id))
    methods, strategies = _Variants(), _Variants()
    found = []
    for run in ordered:
        m, full = run.manifest, run.share >= FULL_SHARE
        asked = [
            {k: v for k, v in m.spec.params.items() if k not in LENGTH},
            *(m.spec.mix, m.spec.token_mask, m.spec.normal),  # what is trained on besides the chosen rows
        ]
        length = {k: v for k, v in m.spec.params.items() if k in LENGTH}
        method = methods.label(m.spec.method, asked, None if full else length)
        strategy = FULL if full else strategies.label(m.strategy, _recipe(str(ws.root), m.selection, ws), {})
        found.append(
            Cell(
                label=run.label,
                strategy=strategy,
                budget=Budget(rows=m.budget, percent=None),
                method=method,
                seed=m.spec.seed,
                full=full,
                spec=m.spec,
                run=run,
                rows=m.budget,
                work=0.0,
            )
        )
    return found


class _Variants:
    """Labels for settings under one name, numbered in the order they were met."""

    def __init__(self) -> None:
        self._met: dict[str, list[tuple[str, str | None]]] = {}

    def label(self, name: str, settings: object, more: object | None) -> str:
        """The name, with a number from the second kind of settings on; more = None fits any."""
        met = self._met.setdefault(name, [])
        key = (content_key(settings), None if more is None else content_key(more))
        place = next((i for i, k in enumerate(met) if k[0] == key[0] and key[1] in (None, k[1])), len(met))
        if place == len(met):
            met.append(key)
        return name if not place else f"{name} ({place + 1})"


@st.cache_data(max_entries=2000, show_spinner=False)
def _recipe(root: str, selection: str, _ws: Workspace) -> dict[str, Any]:
    """What chose the rows, apart from budget and seed; nothing where that file is gone."""
    try:
        recipe = pipeline.load_selection(_ws, selection).recipe
    except WinnowError:
        return {}
    return recipe.model_dump(mode="json", exclude={"budget", "seed", "method"})


def gains(known: Numbers) -> dict[str, str]:
    """What detoxification can be told by: metric -> short title."""
    measured = known.base.metrics if known.base is not None else {}
    return {name: title for name, title in GAINS.items() if name == "TR" or name in measured}


@dataclass(frozen=True)
class Plane:
    """Everything the plane shows."""

    axes: Axes
    marks: list[Mark]
    stairs: list[tuple[float, float]]  # (loss, gain) in the axes' units, the base model among them
    hypervolume: float
    reference: tuple[float, float]  # (loss, gain)


def plane(of: Compared, gain: str, utility: str) -> Plane:
    """The runs' means over seeds and single seeds, with intervals, for one pair of numbers."""
    (gained, gain_unit), (lost, loss_unit) = study_names.gain(gain), study_names.loss(utility)
    axes = Axes(gained, lost, gain_unit, loss_unit)
    marks = [m for arm in of.known.arms() if (m := _mark(of.known, arm, gain, utility)).mean.drawn]
    means = [(m.mean.gain.value or 0.0, m.mean.loss.value or 0.0) for m in marks]
    corner = (0.0, max((loss for _, loss in means), default=0.0))
    trade = [_point(0.0, 0.0), *(_point(*mean) for mean in means)]
    places = [(0.0, 0.0), *means]
    stairs = [(places[i][1], places[i][0]) for i in pareto_front(trade)]
    return Plane(axes, marks, stairs, hypervolume(means, corner), (corner[1], corner[0]))


def _point(gain: float, loss: float) -> TradePoint:
    one, other = Measure(value=gain), Measure(value=loss)
    return TradePoint(label="", reduction=one, ppl_increase=other, toxicity=one, perplexity=other)


def _mark(known: Numbers, arm: StudyArm, gain: str, utility: str) -> Mark:
    name, cost = (gain, f"cost of {utility}") if gain == "TR" else (f"cost of {gain}", f"cost of {utility}")
    sign = 100.0 if gain == "TR" else -100.0
    dots = []
    for cell in arm.cells:
        assert cell.run is not None
        ends = _times(known.value(cell, name), sign), _times(known.value(cell, cost), 100.0)
        dots.append(Dot(cell.run.id, f"{arm.label}, seed {cell.seed}", cell.seed, *ends))
    seeds = f"mean of {len(dots)} seeds" if len(dots) > 1 else "one seed"
    ends = _times(known.over_seeds(arm, name), sign), _times(known.over_seeds(arm, cost), 100.0)
    mean = Dot(dots[0].run, f"{arm.label}, {seeds}", dots[0].seed, *ends)
    return Mark(arm.label, arm.strategy, arm.method, arm.rows, arm.full, mean, tuple(dots))


def _times(found: Measure, factor: float) -> Measure:
    """The measure in another unit; a negative factor turns its bounds around."""
    value, low, high = (None if v is None else factor * v for v in (found.value, found.low, found.high))
    low, high = (high, low) if factor < 0 else (low, high)
    return found.model_copy(update={"value": value, "low": low, "high": high})


def run_of(of: Compared, run_id: str) -> Run | None:
    """The run of that id, or None."""
    return next((r for r in of.group.runs if r.id == run_id), None)


def utilities(known: Numbers) -> list[str]:
    """What a repair may have cost, the main text's perplexity first."""
    return utility_metrics(known)


def measured(known: Numbers) -> dict[str, str]:
    """Every number that a curve or table can show, with its title; those of one category left out."""
    return {name: study_names.title(name) for name in metrics(known) if "[" not in name}


def stored(known: Numbers) -> dict[str, str]:
    """The numbers that the evaluations themselves hold."""
    held = measures(known.base) if known.base is not None else {}
    return {name: title for name, title in measured(known).items() if name in held}


def measures(found: Evaluation) -> dict[str, Measure]:
    """Every number of one evaluation by its name."""
    return all_measures(found)


def base_measure(known: Numbers, metric: str) -> Measure:
    """The base model's number."""
    nothing = Measure(value=None)
    return nothing if known.base is None else measures(known.base).get(metric, nothing)


def change(before: float | None, after: float | None) -> float | None:
    """The change in percent; None where it cannot be told."""
    if before is None or after is None or before == 0:
        return None
    return 100 * ratio_of_averages([before], [after])
