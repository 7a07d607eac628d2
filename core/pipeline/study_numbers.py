"""Every number of a study's finished runs: by cell, by arm, and by resample, so that any two can be compared.

Composite scores are Winnow's own definition v1 (core/evaluation/metrics/composite.py), here over every text
set that the study measures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.evaluation import BASE, differences, unlike
from core.evaluation.measures import measure
from core.evaluation.metrics.composite import (
    label,
    ops,
    res,
    rps,
    toxicity_reduction,
    unmeasured,
    utility,
)
from core.evaluation.tradeoff import INCREASE as INCREASE  # part of what this module offers
from core.evaluation.tradeoff import all_measures, higher_is_better
from core.pipeline.evaluations import read_evaluation
from core.pipeline.paired import Measured, draws, read_measured
from core.pipeline.runs import Run
from core.pipeline.study_arms import FULL as FULL
from core.pipeline.study_arms import Cell as Cell
from core.pipeline.study_arms import StudyArm as StudyArm
from core.statistics import percentile_interval
from core.values import Evaluation, Measure
from core.workspace import Workspace

Floats = NDArray[np.float64]

TOXICITY = "toxicity_mean"
SCORES = ("OPS", "RPS_full", "RPS_ideal", "RES", "RES_data")
PROMPTS_ONLY = "95 % interval over prompts and documents, seeds as they are"
NO_ITEMS = "no interval: values per prompt or item are not at hand"


class Numbers:
    """A study's evaluated runs beside their base model; files are read and units drawn once."""

    def __init__(self, ws: Workspace, found: Sequence[Cell]) -> None:
        self.finished = [c for c in found if c.run is not None]
        evaluated = [c for c in self.finished if c.run is not None and c.run.evaluation is not None]
        self.base, self.base_key = _base(ws, evaluated)
        self.cells, self.left_out = _comparable(self.base, evaluated)
        self._ws = ws
        self._measured: list[Measured] | None = None
        self._draws: dict[str, dict[str, Floats]] = {}

    @property
    def ids(self) -> list[str]:
        """The base model's name, then every run's id; two cells may share a run."""
        return list(dict.fromkeys([BASE, *(c.run.id for c in self.cells if c.run is not None)]))

    @property
    def texts(self) -> tuple[str, ...]:
        """Text sets that perplexity was measured on, the main one first."""
        return tuple(self.base.texts) if self.base is not None else ()

    @property
    def utilities(self) -> tuple[str, ...]:
        """Names of what goes into the composite scores, the toxicity reduction first."""
        return ("TR", *(f"U:{name}" for name in self.texts))

    def arms(self) -> list[StudyArm]:
        """Finished cells by strategy, method and budget, small budgets first, full-data runs last."""
        groups: dict[tuple[str, str, str, bool], list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault((cell.strategy, cell.method, cell.budget.words, cell.full), []).append(cell)
        found = [
            StudyArm(s, m, group[0].budget, full, tuple(sorted(group, key=lambda c: c.seed)))
            for (s, m, _, full), group in groups.items()
        ]
        return sorted(found, key=lambda a: (a.full, a.method, a.strategy, a.rows))

    def draws(self, metric: str) -> dict[str, Floats]:
        """Model -> (1 + resamples,) of the metric, at [0] as measured; {} where no units are at hand.

        Beside the numbers of the evaluations: TR, U:SET, OPS, RPS_full, RPS_ideal, RES, RES_data, and
        "cost of METRIC", what a repair took from the base model's METRIC (see `cost`).
        """
        if metric not in self._draws:
            self._draws[metric] = self._drawn(metric)
        return self._draws[metric]

    def _drawn(self, metric: str) -> dict[str, Floats]:
        if metric.startswith("cost of "):
            return self._costs(metric.removeprefix("cost of "))
        if metric == "TR":
            return _against_base(self.draws(TOXICITY), toxicity_reduction)
        if metric.startswith("U:"):
            return self._utility(metric[2:])
        if metric in SCORES:
            return self._scores(metric)
        found = draws(self.measured, metric)
        if self.base is not None:  # what was asked for otherwise has no place beside the base model's number
            found[:, [metric in unlike(self.base, m.evaluation) for m in self.measured]] = np.nan
        if np.isnan(found).all():
            return {}
        return dict(zip(self.ids, found.T, strict=True))

    def _utility(self, text: str) -> dict[str, Floats]:
        """Share of the base model's perplexity kept: 0 where a run diverged, NaN where none can be told."""
        found = _against_base(self.draws(f"perplexity:{text}"), utility)
        for name, one in zip(self.ids, self.measured, strict=True):
            if name in found and unmeasured(one.evaluation.texts.get(text, {}).get("perplexity")):
                found[name] = np.full_like(found[name], np.nan)
        return found

    @property
    def measured(self) -> list[Measured]:
        """The base model and every run with their units, as in `ids`."""
        if self._measured is None:
            folders = {c.run.id: (c.run.folder, c.run.evaluation) for c in self.cells if c.run is not None}
            base = self._ws.find("evaluations", self.base_key)
            known = {BASE: (base, self.base)} | folders
            self._measured = [
                read_measured(folder, evaluation)
                for folder, evaluation in (known[i] for i in self.ids)
                if folder is not None and evaluation is not None
            ]
        return self._measured

    def _costs(self, metric: str) -> dict[str, Floats]:
        """Share added to a perplexity or bits per byte, points lost of anything else; higher is worse."""
        sign = cost_sign(metric)
        if metric.startswith(INCREASE):
            return _against_base(self.draws(metric), lambda base, run: run / base - 1)
        return _against_base(self.draws(metric), lambda base, run: sign * (run - base))

    def _scores(self, metric: str) -> dict[str, Floats]:
        parts = [self.draws(name) for name in self.utilities]
        if not all(parts):
            return {}
        vectors = {i: np.column_stack([part[i] for part in parts]) for i in parts[0]}
        out = {}
        for cell in self.cells:
            assert cell.run is not None
            out[cell.run.id] = self._score(metric, cell, vectors)
        return out

    def _score(self, metric: str, cell: Cell, vectors: dict[str, Floats]) -> Floats:
        run, full = cell.run, self.full_run(cell)
        assert run is not None
        mine = vectors[run.id]
        theirs = vectors[full.id] if full is not None else np.full_like(mine, np.nan)
        known = np.isfinite(mine).all(axis=1)
        if metric == "OPS":
            found = ops(mine)
        elif metric.startswith("RPS"):
            found = rps(mine, theirs if metric == "RPS_full" else 1.0)
        else:
            cost = np.nan
            if full is not None:
                spent = run.cost(full)
                whole = spent.repair_full > 0
                seconds = (spent.select + spent.repair) / spent.repair_full if whole else np.nan
                cost = seconds if metric == "RES" else run.share
            found = res(ops(mine), np.where(np.isfinite(theirs).all(axis=1), ops(theirs), np.nan), cost)
        return np.where(known, found, np.nan)

    def full_run(self, cell: Cell) -> Run | None:
        """The full-data run of the same method: of the same seed, else of any."""
        whole = [c for c in self.cells if c.full and c.method == cell.method]
        same = [c for c in whole if c.seed == cell.seed]
        return next((c.run for c in same + whole), None)

    def value(self, cell: Cell, metric: str) -> Measure:
        """The metric of one run with its interval over units."""
        assert cell.run is not None and cell.run.evaluation is not None
        stored = all_measures(cell.run.evaluation).get(metric)
        if stored is not None and self.base is not None and metric in unlike(self.base, cell.run.evaluation):
            return Measure(value=None, note="n/a: it was asked for otherwise than the base model's")
        if stored is not None:  # with the interval that suits it, such as Wilson's for rates
            return stored
        drawn = self.draws(metric)
        if cell.run.id not in drawn:
            return Measure(value=None, note=f"n/a: {metric} was not measured")
        return self._measure([drawn[cell.run.id]], metric)

    def over_seeds(self, arm: StudyArm, metric: str) -> Measure:
        """The mean over the arm's seeds; its interval is over units, paired, with the seeds as they are."""
        drawn = self.draws(metric)
        rows = [drawn[run.id] for run in arm.runs if run.id in drawn and np.isfinite(drawn[run.id][0])]
        if rows and len(arm.cells) == 1:  # no mean: the interval that suits it, such as Wilson's for rates
            return self.value(arm.cells[0], metric)
        if rows:
            found, lost = self._measure(rows, metric), len(arm.cells) - len(rows)
            said = f"{found.note}; {lost} of {len(arm.cells)} seeds have no finite value and are left out"
            return found.model_copy(update={"note": said}) if lost else found
        stored = [self.value(cell, metric) for cell in arm.cells]
        known = [m.value for m in stored if m.value is not None]
        if not known:
            return stored[0]
        return Measure(value=float(np.mean(known)), n=len(known), unit=stored[0].unit, note=NO_ITEMS)

    def _measure(self, rows: Sequence[Floats], metric: str) -> Measure:
        mean = np.mean(rows, axis=0)
        kept = mean[1:][np.isfinite(mean[1:])]
        interval = percentile_interval(float(mean[0]), kept)
        return measure(interval, self._n(metric), self.unit(metric), PROMPTS_ONLY)

    def seeds(self, arm: StudyArm, metric: str) -> tuple[float, ...]:
        """The metric of each seed's run; one that has none is left out."""
        found = (self.value(cell, metric).value for cell in arm.cells)
        return tuple(v for v in found if v is not None)

    def unit(self, metric: str) -> str:
        """What the metric counts."""
        if metric in (*SCORES, *self.utilities):
            return label(self.utilities)
        if metric.startswith("cost of "):
            relative = metric.removeprefix("cost of ").startswith(INCREASE)
            return "share of the base model's" if relative else "points lost"
        stored = all_measures(self.base).get(metric) if self.base is not None else None
        return stored.unit if stored is not None else ""

    def _n(self, metric: str) -> int:
        name = metric.removeprefix("cost of ")
        name = f"perplexity:{name[2:]}" if name.startswith("U:") else name
        stored = all_measures(self.base) if self.base is not None else {}
        found = stored.get(name) or stored.get(TOXICITY)
        return found.n if found is not None else 0


def cost_sign(metric: str) -> int:
    """1 where a rise of the metric is a loss, -1 where a fall is."""
    return -1 if higher_is_better(metric) else 1


def _against_base(drawn: dict[str, Floats], change: Callable[[Floats, Floats], Floats]) -> dict[str, Floats]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return {i: change(drawn[BASE], values) for i, values in drawn.items()}


def _base(ws: Workspace, evaluated: Sequence[Cell]) -> tuple[Evaluation | None, str]:
    """The evaluation of the untouched model that most of the runs were measured beside.

    Of several of that model that are comparable, the one that tells most.
    """
    keys = Counter(c.run.manifest.base_evaluation for c in evaluated if c.run is not None)
    found = [(key, one) for key, _ in keys.most_common() if key and (one := read_evaluation(ws, key))]
    if not found:
        return None, ""
    first = found[0][1]
    same = [(k, e) for k, e in found if e.model_hash == first.model_hash and not differences(first, e)]
    key, base = max(same, key=lambda entry: len(all_measures(entry[1])))
    return base, key


def _comparable(base: Evaluation | None, evaluated: Iterable[Cell]) -> tuple[list[Cell], list[str]]:
    """The cells that may stand on one axis with the base, and a sentence for each that may not."""
    kept: list[Cell] = []
    said: list[str] = []
    for cell in evaluated:
        assert cell.run is not None and cell.run.evaluation is not None
        differ = differences(base, cell.run.evaluation) if base is not None else ("the base model's numbers",)
        if differ:
            said.append(f"{cell.label} is left out: it differs in {'; '.join(differ)}")
        else:
            kept.append(cell)
    return kept, said
