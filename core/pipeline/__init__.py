"""The only place that knows the order of the stages, and makes what a plugin needs.

Pages, jobs and the command line call these functions; none of them loads torch until work really starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.errors import BadInput, Stopped
from core.pipeline.choose import choose, load_selection, pick, save_selection, selection_of, selections
from core.pipeline.evaluations import base_evaluation, read_evaluation, run_evaluation
from core.pipeline.export import check_export, export_selection
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
from core.pool import list_pools as pools
from core.pool import load_pool as pool
from core.values import EvaluationSpec, Frozen, Recipe, RepairSpec, Reporter
from core.workspace import Workspace

__all__ = [
    "TASKS",
    "NotReady",
    "Run",
    "RunManifest",
    "Seen",
    "SignalRequest",
    "TradeGroup",
    "base_evaluation",
    "check_export",
    "choose",
    "default_model",
    "default_scorer",
    "eligibility",
    "export_selection",
    "find_run",
    "find_signal",
    "full_data_run",
    "gather",
    "identity",
    "key_of",
    "keywords",
    "load_selection",
    "make_signal",
    "models",
    "number",
    "parse",
    "pick",
    "pool",
    "pools",
    "read_evaluation",
    "request_for",
    "resolve_model",
    "resolve_scorer",
    "run_composites",
    "run_evaluation",
    "run_repair",
    "runs",
    "save_selection",
    "scorers",
    "selection_of",
    "selections",
    "trade_off",
    "trade_off_text",
    "trade_points",
    "words",
]

Task = Callable[[Workspace, Mapping[str, Any], Path, Reporter], dict[str, Any]]


def parse(kind: type[Frozen], spec: Mapping[str, Any], what: str, see: str = "--print-example") -> Any:
    """The value that a json file or job describes; what is wrong with it is told in one sentence."""
    try:
        return kind.model_validate(spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadInput(f"{what} cannot be used: {where}: {first['msg']}; see {see}") from error


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


def _evaluate(ws: Workspace, spec: Mapping[str, Any], folder: Path, reporter: Reporter) -> dict[str, Any]:
    found = run_evaluation(ws, parse(EvaluationSpec, spec, "the evaluation spec"), reporter)
    return {"evaluation": found.model_dump(mode="json")}


TASKS: dict[str, Task] = {"signal": _signal, "select": _select, "repair": _repair, "evaluate": _evaluate}
