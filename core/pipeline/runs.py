"""Repairs: gather what one needs, run it, measure the result, keep every number with what made it.

A run under way keeps all that must survive a kill in WORKSPACE/partial/runs/ID; asked for again it goes on.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput, BadModel, MissingInput, UnknownName
from core.pipeline.asked import asked_key, check_fit, check_model, deciding, filled_repair
from core.pipeline.choose import choose, load_selection, save_selection, selecting_seconds
from core.pipeline.estimate import estimate
from core.pipeline.evaluations import (
    evaluation_key,
    measure,
    open_model,
    run_evaluation,
    versions,
    write_evaluation,
)
from core.pipeline.kept import (
    KeptRows,
    Run,
    RunManifest,
    find_run,
    recall_asked,
    remember_asked,
    runs,
    standing_rows,
)
from core.pipeline.mixes import Training, dose, training
from core.pipeline.names import resolve_model
from core.pipeline.normal import normal_text
from core.pipeline.panel import keep_model, open_panel
from core.pipeline.token_masks import Mask, read_token_mask, tokenizer_hash
from core.pool import load_pool
from core.repair import METHODS, RepairParams, RepairResult, repair
from core.values import Pool, RepairSpec, Reporter, Selection, Silent, settings
from core.workspace import Memo, Workspace, atomic_folder, content_key, json_line, write_bytes, write_json
from core.workspace.files import storage_errors

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

__all__ = ["Run", "RunManifest", "find_asked", "find_run", "run_repair", "runs"]

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class _Plan:
    """One run with all that it needs by name."""

    id: str
    spec: RepairSpec  # filled
    params: RepairParams
    chosen: Selection
    pool: Pool
    scratch: Path  # survives a kill


def run_repair(ws: Workspace, spec: RepairSpec, reporter: Reporter | None = None) -> Run:
    """Repair, evaluate, store under WORKSPACE/runs/ID; a spec that was run already costs nothing.

    A run that was killed, or failed, goes on where it was when it is asked for again, and ends with the same
    weights and numbers (on a CPU, bit for bit). A stop asked for while training keeps the best weights so far
    and measures nothing; asked for again, such a run goes on too. One that dropped the model that is wanted
    now is made anew.
    """
    reporter = reporter or Silent()
    plan = _plan(ws, spec, reporter)
    with ws.lock(f"run-{plan.id}", timeout=5):
        whole = find_run(ws, plan.id)
        if whole is None or not _serves(whole, spec):
            if plan.spec.evaluation is not None:  # the point of comparison first: a run alone means nothing
                run_evaluation(ws, plan.spec.evaluation, reporter)
            with storage_errors(plan.scratch / "x"):
                plan.scratch.mkdir(parents=True, exist_ok=True)
            with atomic_folder(ws.path("runs", plan.id), alone=True) as part:
                _make(ws, plan, part, reporter)
            whole = find_run(ws, plan.id)
            assert whole is not None  # written above, under its lock
        if not whole.interrupted:
            shutil.rmtree(plan.scratch, ignore_errors=True)
            remember_asked(ws, asked_key(ws, spec), plan.id)
    return whole


def find_asked(ws: Workspace, spec: RepairSpec) -> Run | None:
    """The finished run that answers this spec as asked, before any row is selected; looks, computes nothing.

    None when it was never run to its end, when its rows, model or scorer are others by now, or when it
    dropped the model that the spec wants kept. Raises BadInput for settings the method does not have.
    """
    try:
        run = recall_asked(ws, asked_key(ws, spec))
    except (BadModel, UnknownName):  # a pool, model or selection that is not there has no run
        return None
    return run if run is not None and _serves(run, spec) else None


def _plan(ws: Workspace, spec: RepairSpec, reporter: Reporter) -> _Plan:
    """Select, fill in, and refuse what cannot work, before any work."""
    settings(METHODS[spec.method].params, spec.params, f"repair method {spec.method!r}")
    chosen = _selection(ws, spec, reporter)
    pool = load_pool(ws, chosen.recipe.pool)
    if pool.fingerprint != chosen.pool_fingerprint:
        raise BadInput(
            f"pool {pool.name!r} has changed since the selection {chosen.key} was made; select again"
        )
    filled, params = filled_repair(ws, spec.model_copy(update={"selection": chosen.key}), pool.name)
    run_id = content_key(deciding(ws, filled, params, [pool.name]))
    check_fit(filled, params)
    check_model(ws, filled)
    return _Plan(run_id, filled, params, chosen, pool, ws.path("partial", "runs", run_id))


def _serves(whole: Run, spec: RepairSpec) -> bool:
    """Whether a stored run answers the spec: it came to its own end, and kept a model if one is wanted."""
    kept = spec.keep_model == "none" or (whole.folder / "model").is_dir()
    return kept and not whole.interrupted


def _make(ws: Workspace, plan: _Plan, part: Path, reporter: Reporter) -> None:
    """Fill the run's folder: spec, measurements, model, evaluation, and the manifest last."""
    started = time.perf_counter()
    spec, params, chosen, pool = plan.spec, plan.params, plan.chosen, plan.pool
    write_json(part / "spec.json", spec)
    expected = _expected(ws, plan)
    needs = METHODS[spec.method].columns(params)
    lm = open_model(resolve_model(ws, spec.model), spec.device)
    rows = training(ws, chosen, pool, spec.method, needs, params.validation_size, spec.mix, reporter)
    result = _repair(ws, plan, lm, rows, part, reporter)
    kept = "".join(json_line(row) for row in standing_rows(plan.scratch / METRICS))
    write_bytes(part / METRICS, kept.encode())
    if spec.evaluation is not None and not result.interrupted:
        _measure(ws, plan, lm, result, part, reporter)
    if spec.keep_model == "none":
        shutil.rmtree(part / "model", ignore_errors=True)
    manifest = RunManifest(
        id=plan.id,
        spec=spec,
        selection=chosen.key,
        strategy=chosen.recipe.strategy,
        budget=len(chosen.ids),
        eligible=chosen.eligible,
        select_seconds=round(selecting_seconds(ws, chosen, pool), 4),
        pool=pool.name,
        pool_fingerprint=pool.fingerprint,
        model=spec.model,
        model_hash=lm.hash,
        result=result.model_dump(mode="json"),
        dose=dose(len(chosen.ids), rows.benign, result.steps, params.batch) if rows.benign else {},
        resumed=result.resumed,
        estimate=expected,
        base_evaluation=evaluation_key(ws, spec.evaluation) if spec.evaluation else "",
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=round(time.perf_counter() - started, 2),
        device=str(lm.device),
        versions=versions(),
    )
    write_json(part / "manifest.json", manifest)


def _repair(
    ws: Workspace, plan: _Plan, lm: LanguageModel, rows: Training, part: Path, reporter: Reporter
) -> RepairResult:
    """Train and write the model, from where an earlier process was ended."""
    spec, method = plan.spec, METHODS[plan.spec.method]
    masks: list[tuple[Mask, Mask]] = []
    if spec.token_mask:
        found = read_token_mask(ws, spec.token_mask, plan.pool, tokenizer_hash(lm.tokenizer))
        masks = [found.of(row) for row in rows.rows.tolist()]

    def keep(step: int) -> str:
        return keep_model(ws, lm, spec.name, plan.id, step)

    return repair(
        lm,
        spec.method,
        rows.examples,
        rows.validation,
        params=plan.params,
        normal=normal_text(ws, lm, spec.normal, spec.scorer, reporter) if plan.params.normal else [],
        seed=spec.seed,
        folder=part,
        keep=spec.keep_model,
        reporter=KeptRows(reporter, plan.scratch / METRICS),
        masks=masks,
        watch=open_panel(ws, lm, spec, plan.pool, keep) if method.phases else None,
        scratch=plan.scratch,
        memo=Memo(ws.path("memo", f"reference-{lm.hash}.sqlite")),
    )


def _expected(ws: Workspace, plan: _Plan) -> dict[str, float]:
    """What it will take, by all that was measured before: kept beside what it took."""
    rows = len(plan.chosen.ids) + (plan.spec.mix.rows if plan.spec.mix else 0)
    recipe = plan.chosen.recipe.model_copy(update={"method": plan.spec.method})
    found = estimate(ws, plan.spec, plan.params, recipe, rows)
    if found is None:
        return {}
    said = {
        "memory_bytes": found.memory_bytes,
        "seconds": found.seconds,
        "low": found.low,
        "high": found.high,
    }
    return {name: float(value) for name, value in said.items() if value is not None}


def _measure(
    ws: Workspace, plan: _Plan, lm: LanguageModel, result: RepairResult, part: Path, reporter: Reporter
) -> None:
    """Measure the model in memory, or its folder where that decodes otherwise; a kill loses little."""
    assert plan.spec.evaluation is not None
    if METHODS[plan.spec.method].decode:
        lm = open_model(str(part / "model"), plan.spec.device)
    scratch = plan.scratch / "evaluation"
    found, tables = measure(ws, lm, plan.spec.evaluation, reporter, weights=result.weights, scratch=scratch)
    write_evaluation(part, found.model_copy(update={"model": f"run:{plan.id}"}), tables)


def _selection(ws: Workspace, spec: RepairSpec, reporter: Reporter) -> Selection:
    if isinstance(spec.selection, str):
        chosen = load_selection(ws, spec.selection)
    else:
        chosen = choose(ws, spec.selection, make=True, reporter=reporter)
        save_selection(ws, chosen)
    if not chosen.ids:
        raise MissingInput(f"selection {chosen.key} is empty; select at least one row to repair with")
    return chosen
