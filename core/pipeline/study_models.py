"""Which models of a study stay: only the best run's; numbers and generations of all runs stay anyway."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass

import numpy as np

from core.errors import BadInput, MissingInput
from core.evaluation.tradeoff import higher_is_better
from core.pipeline.deletion import size
from core.pipeline.runs import Run, runs
from core.pipeline.studies import cells, load_study, study_names
from core.pipeline.study_numbers import Numbers
from core.values.study import StudySpec
from core.workspace import Workspace
from core.workspace.files import storage_errors

RULE = "OPS"  # the composite score that a best run has most of, Winnow definition v1


@dataclass(frozen=True)
class Pruned:
    """What `prune_models` kept and freed."""

    best: str  # id of the run whose model stays
    metric: str
    value: float
    removed: tuple[str, ...]  # ids of the runs whose models are gone
    freed: int  # bytes
    kept: tuple[str, ...]  # a sentence for every other model that stays, with the reason


def best_run(known: Numbers, metric: str = RULE) -> tuple[Run, float]:
    """The run with the best value of the metric, and the value; MissingInput where no run has one."""
    drawn, sign = known.draws(metric), 1 if higher_is_better(metric) else -1
    found = [
        (sign * float(drawn[c.run.id][0]), -at, c.run)
        for at, c in enumerate(known.cells)
        if c.run is not None and c.run.id in drawn and np.isfinite(drawn[c.run.id][0])
    ]
    if not found:
        raise MissingInput(f"no finished run of the study has {metric}, so none is the best; run it first")
    value, _, run = max(found, key=lambda entry: entry[:2])
    return run, sign * value


def prune_models(ws: Workspace, spec: StudySpec, metric: str = RULE) -> Pruned:
    """Remove every model of the study but the best run's, and those that something else needs.

    BadInput for a study that keeps all models on purpose, that still has runs to do, or whose best run kept
    no model.
    """
    if spec.keep_model == "changed":
        raise BadInput(
            f"study {spec.name!r} keeps all its models (keep_model = changed); set it to best before pruning"
        )
    found = cells(ws, spec)
    if spec.keep_model == "best" and any(cell.run is None for cell in found):
        left = sum(cell.run is None for cell in found)
        raise BadInput(
            f"{left} of {len(found)} runs of study {spec.name!r} are still to be done, so the best one is "
            "not known yet; prune when all are finished"
        )
    best, value = best_run(Numbers(ws, found), metric)
    if spec.keep_model == "best" and not (best.folder / "model").is_dir():
        raise BadInput(
            f"run {best.id}, the best of study {spec.name!r} by {metric}, kept no model; run it again with "
            "keep_model 'changed', then prune. Nothing was removed"
        )
    needed = _needed(ws, spec.name)
    mine = {cell.run.id: cell.run for cell in found if cell.run is not None and cell.run.id != best.id}
    there = {i: run for i, run in mine.items() if (run.folder / "model").is_dir()}
    removed = [run for i, run in there.items() if i not in needed and run.folder.is_relative_to(ws.root)]
    freed = sum(_remove(ws, run) for run in removed)
    kept = tuple(f"run {i} stays: {needed[i]}" for i in there if i in needed)
    return Pruned(best.id, metric, value, tuple(run.id for run in removed), freed, kept)


def _needed(ws: Workspace, study: str) -> dict[str, str]:
    """Run -> why its model is not this study's alone: a study also counts runs that others asked for."""
    found: dict[str, str] = {}
    for run in runs(ws):
        if not run.manifest.spec.name.startswith(f"{study}: "):
            found[run.id] = "it was not made for this study"
        if run.manifest.model.startswith("run:"):
            found[run.manifest.model.removeprefix("run:")] = f"run {run.id} repaired its model"
    for name in study_names(ws):
        other = load_study(ws, name)
        if name != study and other.keep_model != "none":
            said = (
                f"study {name!r} keeps {'its best model' if other.keep_model == 'best' else 'all its models'}"
            )
            found |= {cell.run.id: said for cell in cells(ws, other) if cell.run is not None}
    return found


def _remove(ws: Workspace, run: Run) -> int:
    """Out of sight at once by a rename, while nobody repairs that run; the bytes freed."""
    folder = run.folder / "model"
    freed = size(folder)
    with ws.lock(f"run-{run.id}"), storage_errors(folder):
        hidden = folder.with_name(f".model.{uuid.uuid4().hex}.old")
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    return freed
