"""The only place that knows the order of the stages, and makes what a plugin needs.

Pages, jobs and the command line call these functions; none of them loads torch until work really starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import Stopped
from core.pipeline.choose import choose, load_selection, pick, save_selection, selection_of, selections
from core.pipeline.compare import Arm as ComparedArm
from core.pipeline.compare import Comparison, Histograms, compare, histograms, stored_scores
from core.pipeline.densities import DensitySpec, measure_density
from core.pipeline.desk import Choice, Desk
from core.pipeline.estimate import Estimate, estimate, free_memory
from core.pipeline.evaluations import base_evaluation, read_evaluation, run_evaluation
from core.pipeline.export import check_export, export_selection
from core.pipeline.export_model import Exported, export_run
from core.pipeline.failures import failures_pool
from core.pipeline.gather import Seen, eligibility, gather
from core.pipeline.names import (
    default_model,
    default_scorer,
    identity,
    models,
    resolve_model,
    resolve_scorer,
    scorers,
)
from core.pipeline.parsing import parse
from core.pipeline.predict import Prediction, duration, predict
from core.pipeline.recipe_diff import Change, diff
from core.pipeline.recipes import (
    SavedRecipe,
    check_same,
    choose_anyway,
    damaged_recipes,
    delete_recipe,
    load_recipe,
    pool_differences,
    recipe_names,
    recipes,
    replay,
    save_recipe,
)
from core.pipeline.requests import NotReady, SignalRequest, key_of, request_for, words
from core.pipeline.runs import (
    Run,
    RunManifest,
    find_run,
    run_repair,
    runs,
)
from core.pipeline.signals import find_signal, keywords, make_signal
from core.pipeline.trade_off import (
    TradeGroup,
    full_data_run,
    number,
    run_composites,
    trade_off,
    trade_off_text,
    trade_points,
)
from core.pipeline.why import Why, why
from core.pool import list_pools as pools
from core.pool import load_pool as pool
from core.values import EvaluationSpec, Recipe, RepairSpec, Reporter
from core.workspace import Workspace

__all__ = [
    "TASKS",
    "Change",
    "Choice",
    "ComparedArm",
    "Comparison",
    "Desk",
    "Estimate",
    "Exported",
    "Histograms",
    "NotReady",
    "Prediction",
    "Run",
    "RunManifest",
    "SavedRecipe",
    "Seen",
    "SignalRequest",
    "TradeGroup",
    "Why",
    "base_evaluation",
    "check_export",
    "check_same",
    "choose",
    "choose_anyway",
    "compare",
    "damaged_recipes",
    "default_model",
    "default_scorer",
    "delete_recipe",
    "diff",
    "duration",
    "eligibility",
    "estimate",
    "export_run",
    "export_selection",
    "failures_pool",
    "find_run",
    "find_signal",
    "free_memory",
    "full_data_run",
    "gather",
    "histograms",
    "identity",
    "key_of",
    "keywords",
    "load_recipe",
    "load_selection",
    "make_signal",
    "models",
    "number",
    "parse",
    "pick",
    "pool",
    "pool_differences",
    "pools",
    "predict",
    "read_evaluation",
    "recipe_names",
    "recipes",
    "replay",
    "request_for",
    "resolve_model",
    "resolve_scorer",
    "run_composites",
    "run_evaluation",
    "run_repair",
    "runs",
    "save_recipe",
    "save_selection",
    "scorers",
    "selection_of",
    "selections",
    "stored_scores",
    "trade_off",
    "trade_off_text",
    "trade_points",
    "why",
    "words",
]

Task = Callable[[Workspace, Mapping[str, Any], Path, Reporter], dict[str, Any]]


def _signal(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    return {"signal": make_signal(ws, parse(SignalRequest, spec, "the signal request"), reporter).key.digest}


def _select(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    chosen = choose(ws, parse(Recipe, spec, "the recipe"), make=True, reporter=reporter)
    return {"selection": save_selection(ws, chosen)}


def _repair(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    run = run_repair(ws, parse(RepairSpec, spec, "the repair spec"), reporter)
    if run.interrupted:
        raise Stopped(f"stopped as asked; the best weights so far are kept in run {run.id}, not measured")
    return {"run": run.id}


def _density(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    measure_density(ws, parse(DensitySpec, spec, "the density spec"), reporter)
    return {}


def _export(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    run = str(spec["run"])
    return export_run(ws, run, ws.path("exports", run), reporter).model_dump()


def _evaluate(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    found = run_evaluation(ws, parse(EvaluationSpec, spec, "the evaluation spec"), reporter)
    return {"evaluation": found.model_dump(mode="json")}


TASKS: dict[str, Task] = {
    "signal": _signal,
    "select": _select,
    "repair": _repair,
    "evaluate": _evaluate,
    "density": _density,
    "export": _export,
}
