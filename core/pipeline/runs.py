"""Repairs: gather what one needs, run it, measure the result, keep every number with what made it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import BadInput, MissingInput
from core.evaluation.metrics.composite import Cost
from core.pipeline.choose import choose, load_selection, save_selection
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
from core.pool import eligible, load_pool
from core.repair import METHODS, repair
from core.values import (
    Evaluation,
    Frozen,
    NormalText,
    Pool,
    Recipe,
    RepairSpec,
    Reporter,
    Selection,
    Silent,
    examples,
    settings,
)
from core.workspace import Workspace, atomic_folder, content_key, read_json, write_json

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

VALIDATION_PAIRS = 64  # repair-and-evaluation A4
RUN_VERSION = 1


class RunManifest(Frozen):
    """Written last: it exists => the run is whole."""

    id: str
    spec: RepairSpec
    selection: str
    strategy: str
    budget: int  # rows
    eligible: int  # rows the budget was taken from
    select_seconds: float
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
            file.write(json.dumps(row) + "\n")

    def stopping(self) -> bool:
        return self.outer.stopping()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def run_repair(ws: Workspace, spec: RepairSpec, reporter: Reporter | None = None) -> Run:
    """Repair, evaluate, store under WORKSPACE/runs/ID; a spec that was run already costs nothing."""
    reporter = reporter or Silent()
    method = METHODS[spec.method]
    params = settings(method.params, spec.params, f"repair method {spec.method!r}")
    chosen = _selection(ws, spec, reporter)
    pool = load_pool(ws, chosen.recipe.pool)
    if pool.fingerprint != chosen.pool_fingerprint:
        raise BadInput(
            f"pool {pool.name!r} has changed since the selection {chosen.key} was made; select again"
        )
    source = resolve_model(ws, spec.model or default_model(ws, pool.name))
    spec = spec.model_copy(
        update={
            "selection": chosen.key,
            "params": params.model_dump(mode="json"),
            "model": spec.model or default_model(ws, pool.name),
            "scorer": spec.scorer or default_scorer(ws, pool.name),
        }
    )
    evaluation = filled_spec(ws, spec.evaluation, spec.model) if spec.evaluation else None
    run_id = content_key(
        {
            "spec": spec.model_dump(mode="json", exclude={"name", "evaluation", "keep_model", "device"}),
            "model": identity(ws, source),
            "evaluation": evaluation,
            "version": RUN_VERSION,
        }
    )
    spec = spec.model_copy(update={"evaluation": evaluation})
    if (whole := find_run(ws, run_id)) is not None:
        return whole
    with ws.lock(f"run-{run_id}", timeout=5):
        if evaluation is not None:  # the point of comparison first: a run without it means nothing
            run_evaluation(ws, evaluation, reporter)
        started = time.perf_counter()
        with atomic_folder(ws.path("runs", run_id)) as part:
            write_json(part / "spec.json", spec)
            kept = _Kept(reporter, part / "metrics.jsonl")
            lm = open_model(source, spec.device)
            train, validation = _examples(pool, chosen, method.needs)
            normal = normal_text(ws, lm, spec.normal, spec.scorer, reporter) if method.normal else []
            result = repair(
                lm,
                spec.method,
                train,
                validation,
                params=params,
                normal=normal,
                seed=spec.seed,
                folder=part,
                keep=spec.keep_model,
                reporter=kept,
            )
            if evaluation is not None:
                repaired, tables = measure(ws, lm, evaluation, reporter)
                named = {"model": f"run:{run_id}", "model_hash": result.weights}
                write_evaluation(part, repaired.model_copy(update=named), tables)
            manifest = RunManifest(
                id=run_id,
                spec=spec,
                selection=chosen.key,
                strategy=chosen.recipe.strategy,
                budget=len(chosen.ids),
                eligible=chosen.eligible,
                select_seconds=chosen.seconds,
                pool=pool.name,
                pool_fingerprint=pool.fingerprint,
                model=spec.model,
                model_hash=lm.hash,
                result=result.model_dump(mode="json"),
                base_evaluation=evaluation_key(ws, evaluation) if evaluation else "",
                created=_now(),
                seconds=round(time.perf_counter() - started, 2),
                device=str(lm.device),
                versions=versions(),
            )
            write_json(part / "manifest.json", manifest)
    run = find_run(ws, run_id)
    assert run is not None  # written above, under its lock
    return run


def _selection(ws: Workspace, spec: RepairSpec, reporter: Reporter) -> Selection:
    if isinstance(spec.selection, str):
        chosen = load_selection(ws, spec.selection)
    else:
        chosen = choose(ws, spec.selection, make=True, reporter=reporter)
        save_selection(ws, chosen)
    if not chosen.ids:
        raise MissingInput(f"selection {chosen.key} is empty; select at least one row to repair with")
    return chosen


def _examples(pool: Pool, chosen: Selection, needs: tuple[str, ...]) -> tuple[list[Any], list[Any]]:
    """The chosen rows in their order, and up to 64 validation rows of the same kind (never test)."""
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
    order = np.random.default_rng(0).permutation(len(held_out))[:VALIDATION_PAIRS]
    return examples(pool, rows), examples(pool, held_out[np.sort(order)])


def normal_text(
    ws: Workspace, lm: LanguageModel, wanted: NormalText, scorer: str, reporter: Reporter
) -> list[str]:
    """Free samples of the model, toxic ones dropped (A1); made once per model, settings and scorer."""
    from core.lm.generate import unconditional
    from core.scorers import load_scorer

    source = resolve_scorer(ws, scorer)
    key = content_key({"model": lm.hash, "settings": wanted, "scorer": identity(ws, source)})
    with ws.lock(f"normal-{key}", timeout=24 * 3600):
        kept = ws.find("normal", f"{key}.json")
        if kept is None:
            texts = unconditional(
                lm,
                wanted.texts,
                new_tokens=wanted.tokens,
                top_p=wanted.top_p,
                seed=wanted.seed,
                reporter=reporter,
            )
            texts = [t for t in texts if t.strip()]
            toxicity = load_scorer(source, device=str(lm.device)).toxicity(texts, reporter)
            clean = [t for t, s in zip(texts, toxicity, strict=True) if s <= wanted.max_toxicity]
            kept = ws.path("normal", f"{key}.json")
            write_json(
                kept,
                {"texts": clean, "dropped": len(texts) - len(clean), "settings": wanted, "scorer": scorer},
            )
    texts = list(read_json(kept)["texts"])
    if not texts:
        raise MissingInput(
            f"all {wanted.texts} free samples of the model were scored above {wanted.max_toxicity}; "
            "raise normal.max_toxicity or take a method without KL"
        )
    return texts


def find_run(ws: Workspace, run_id: str) -> Run | None:
    """The whole run of that id, or None."""
    folder = ws.find("runs", run_id)
    if folder is None or not (folder / "manifest.json").is_file():
        return None
    manifest = RunManifest.model_validate(read_json(folder / "manifest.json"))
    path = folder / "evaluation.json"
    found = Evaluation.model_validate(read_json(path)) if path.is_file() else None
    return Run(run_id, folder, manifest, found)


def runs(ws: Workspace) -> list[Run]:
    """Every whole run, newest first."""
    found = [find_run(ws, name) for name in ws.folders("runs")]
    return sorted((r for r in found if r is not None), key=lambda r: r.manifest.created, reverse=True)


def recipe_of(ws: Workspace, run: Run) -> Recipe:
    """The recipe that chose the run's rows."""
    return load_selection(ws, run.manifest.selection).recipe
