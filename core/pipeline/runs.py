"""Repairs: gather what one needs, run it, measure the result, keep every number with what made it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadInput, MissingInput
from core.evaluation.metrics.composite import Cost
from core.pipeline.choose import choose, load_selection, save_selection, selecting_seconds
from core.pipeline.evaluations import (
    evaluation_key,
    filled_spec,
    measure,
    open_model,
    run_evaluation,
    versions,
    write_evaluation,
)
from core.pipeline.names import default_model, default_scorer, identity, resolve_model, resolve_scorer
from core.pipeline.normal import normal_text
from core.pool import eligible, load_pool
from core.repair import METHODS, RepairParams, repair
from core.values import (
    Evaluation,
    Example,
    Frozen,
    Params,
    Pool,
    RepairSpec,
    Reporter,
    Selection,
    Silent,
    examples,
    settings,
)
from core.workspace import Workspace, atomic_folder, content_key, json_line, read_as, write_json

RUN_VERSION = 2  # raised when the same inputs would give other numbers


class RunManifest(Frozen):
    """Written last: it exists => the run is whole."""

    id: str
    spec: RepairSpec
    selection: str
    strategy: str
    budget: int  # rows
    eligible: int  # rows the budget was taken from
    select_seconds: float  # with the making of its signals
    pool: str
    pool_fingerprint: str
    model: str
    model_hash: str
    result: dict[str, Any]
    base_evaluation: str = ""
    created: str
    seconds: float
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Run:
    """One finished repair as the pages and tables read it."""

    id: str
    folder: Path
    manifest: RunManifest
    evaluation: Evaluation | None

    @property
    def interrupted(self) -> bool:
        """Whether a person stopped it before its end."""
        return bool(self.manifest.result.get("interrupted", False))

    @property
    def share(self) -> float:
        """Rows used as a share of the eligible rows."""
        return self.manifest.budget / max(self.manifest.eligible, 1)

    def cost(self, full: Run) -> Cost:
        """Seconds of selecting and repairing, beside those of the full-data run."""
        m = self.manifest
        return Cost(m.select_seconds, m.result["seconds"], full.manifest.result["seconds"])

    @property
    def label(self) -> str:
        """Strategy, budget, method and seed in one line."""
        m = self.manifest
        return m.spec.name or f"{m.strategy} {m.budget} rows, {m.spec.method}, seed {m.spec.seed}"


class _Kept:
    """A Reporter that also keeps every measured row in the run's own folder."""

    def __init__(self, outer: Reporter, path: Path) -> None:
        self.outer, self.path = outer, path

    def progress(self, done: int, total: int, what: str) -> None:
        self.outer.progress(done, total, what)

    def record(self, row: Mapping[str, Any]) -> None:
        self.outer.record(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json_line(row))

    def stopping(self) -> bool:
        return self.outer.stopping()

    def asked(self, what: str) -> bool:
        return self.outer.asked(what)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def run_repair(ws: Workspace, spec: RepairSpec, reporter: Reporter | None = None) -> Run:
    """Repair, evaluate, store under WORKSPACE/runs/ID; a spec that was run already costs nothing.

    A stop asked for while training keeps the best weights so far and measures nothing. Such a run is made
    anew when it is asked for again, and so is one that dropped the model that is wanted now.
    """
    reporter = reporter or Silent()
    params = settings(METHODS[spec.method].params, spec.params, f"repair method {spec.method!r}")
    chosen = _selection(ws, spec, reporter)
    pool = load_pool(ws, chosen.recipe.pool)
    if pool.fingerprint != chosen.pool_fingerprint:
        raise BadInput(
            f"pool {pool.name!r} has changed since the selection {chosen.key} was made; select again"
        )
    spec = _filled(ws, spec, params, chosen)
    run_id = _run_id(ws, spec, params, pool)
    with ws.lock(f"run-{run_id}", timeout=5):
        if (whole := find_run(ws, run_id)) is not None and _serves(whole, spec):
            return whole
        if spec.evaluation is not None:  # the point of comparison first: a run without it means nothing
            run_evaluation(ws, spec.evaluation, reporter)
        with atomic_folder(ws.path("runs", run_id), alone=True) as part:
            _make(ws, run_id, spec, params, chosen, pool, part, reporter)
    run = find_run(ws, run_id)
    assert run is not None  # written above, under its lock
    return run


def _filled(ws: Workspace, spec: RepairSpec, params: Params, chosen: Selection) -> RepairSpec:
    """The spec with every name and default written out."""
    model = spec.model or default_model(ws, chosen.recipe.pool)
    if spec.evaluation and spec.evaluation.model not in ("", model):
        raise BadInput(
            f"the evaluation names the model {spec.evaluation.model!r}, but {model!r} is repaired: base and "
            "repaired model are measured alike, leave evaluation.model empty"
        )
    return spec.model_copy(
        update={
            "selection": chosen.key,
            "params": params.model_dump(mode="json"),
            "model": model,
            "scorer": spec.scorer or default_scorer(ws, chosen.recipe.pool),
            "evaluation": filled_spec(ws, spec.evaluation, model) if spec.evaluation else None,
        }
    )


def _run_id(ws: Workspace, spec: RepairSpec, params: RepairParams, pool: Pool) -> str:
    """Hash of all that could change a number of the filled spec's run: contents, where names could lie."""
    return content_key(
        {
            "spec": spec.model_dump(
                mode="json", exclude={"name", "evaluation", "keep_model", "device", "panel"}
            ),
            "model": identity(ws, resolve_model(ws, spec.model)),
            "split": pool.split_hash,  # validation rows come from it
            "normal": identity(ws, resolve_scorer(ws, spec.scorer)) if params.normal else "",
            "evaluation": evaluation_key(ws, spec.evaluation) if spec.evaluation else "",
            "version": RUN_VERSION,
        }
    )


def _serves(whole: Run, spec: RepairSpec) -> bool:
    """Whether a stored run answers the spec: it came to its own end, and kept a model if one is wanted."""
    kept = spec.keep_model == "none" or (whole.folder / "model").is_dir()
    return kept and not whole.interrupted


def _make(
    ws: Workspace,
    run_id: str,
    spec: RepairSpec,
    params: RepairParams,
    chosen: Selection,
    pool: Pool,
    part: Path,
    reporter: Reporter,
) -> None:
    """Fill the run's folder: spec, measurements, model, evaluation, and the manifest last."""
    started = time.perf_counter()
    method = METHODS[spec.method]
    write_json(part / "spec.json", spec)
    lm = open_model(resolve_model(ws, spec.model), spec.device)
    train, validation = _examples(pool, chosen, method.columns(params), params.validation_size)
    result = repair(
        lm,
        spec.method,
        train,
        validation,
        params=params,
        normal=normal_text(ws, lm, spec.normal, spec.scorer, reporter) if params.normal else [],
        seed=spec.seed,
        folder=part,
        keep=spec.keep_model,
        reporter=_Kept(reporter, part / "metrics.jsonl"),
    )
    if spec.evaluation is not None and not result.interrupted:
        repaired, tables = measure(ws, lm, spec.evaluation, reporter)
        named = {"model": f"run:{run_id}", "model_hash": result.weights}
        write_evaluation(part, repaired.model_copy(update=named), tables)
    manifest = RunManifest(
        id=run_id,
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
        base_evaluation=evaluation_key(ws, spec.evaluation) if spec.evaluation else "",
        created=_now(),
        seconds=round(time.perf_counter() - started, 2),
        device=str(lm.device),
        versions=versions(),
    )
    write_json(part / "manifest.json", manifest)


def _selection(ws: Workspace, spec: RepairSpec, reporter: Reporter) -> Selection:
    if isinstance(spec.selection, str):
        chosen = load_selection(ws, spec.selection)
    else:
        chosen = choose(ws, spec.selection, make=True, reporter=reporter)
        save_selection(ws, chosen)
    if not chosen.ids:
        raise MissingInput(f"selection {chosen.key} is empty; select at least one row to repair with")
    return chosen


def _examples(
    pool: Pool, chosen: Selection, needs: tuple[str, ...], validation: int
) -> tuple[list[Example], list[Example]]:
    """The chosen rows in their order, and so many random validation rows of the same kind (never test)."""
    place = {row_id: i for i, row_id in enumerate(pool.ids)}
    missing = [row_id for row_id in chosen.ids if row_id not in place]
    if missing:
        raise BadInput(
            f"selection {chosen.key} names row {missing[0]!r}, which pool {pool.name!r} does not hold"
        )
    usable = eligible(pool, needs, splits=("train",))
    allowed = set(usable.rows.tolist())
    rows = [place[row_id] for row_id in chosen.ids]
    unusable = [r for r in rows if r not in allowed]
    if unusable:
        columns = " and ".join(sorted(set(needs) - {"prompt"}))
        raise MissingInput(
            f"{len(unusable)} of {len(rows)} selected rows cannot be used by this method: it needs the "
            f"columns {columns} filled, in the train split and not blocked; select again for this method"
        )
    held_out = eligible(pool, needs, splits=("validation",)).rows
    order = np.random.default_rng(0).permutation(len(held_out))[:validation]
    return examples(pool, rows), examples(pool, held_out[np.sort(order)])


def find_run(ws: Workspace, run_id: str) -> Run | None:
    """The whole run of that id, or None."""
    folder = ws.find("runs", run_id)
    if folder is None or not (folder / "manifest.json").is_file():
        return None
    manifest = read_as(RunManifest, folder / "manifest.json")
    path = folder / "evaluation.json"
    found = read_as(Evaluation, path) if path.is_file() else None
    return Run(run_id, folder, manifest, found)


def runs(ws: Workspace) -> list[Run]:
    """Every whole run, newest first."""
    found = [find_run(ws, name) for name in ws.folders("runs")]
    return sorted((r for r in found if r is not None), key=lambda r: r.manifest.created, reverse=True)
