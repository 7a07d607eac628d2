"""Runs the demo: base evaluation, then its repairs, two processes at a time with one thread each.

What was run before in the same workspace is read, not run again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from core import pipeline
from core.demo.plan import EVALUATION, specs
from core.demo.table import findings, table
from core.pipeline import Run
from core.pipeline.processes import Work, in_processes
from core.values import Evaluation, RepairSpec, Reporter, Silent
from core.workspace import Workspace, write_json

SUMMARY = "demo-summary.json"
METRICS = ("emt", "tp", "toxicity_mean", "toxic_fraction", "perplexity", "bits_per_byte")
WHAT = "base evaluation and repairs"


@dataclass(frozen=True)
class Outcome:
    """What came out: rows for machines (also in WORKSPACE/demo-summary.json), text for people."""

    rows: list[dict[str, Any]]
    text: str
    runs: tuple[Run, ...]
    seconds: float


def _base(ws: Workspace, reporter: Reporter) -> str:
    return pipeline.run_evaluation(ws, EVALUATION, reporter).model_hash


def _repair(ws: Workspace, spec: RepairSpec, reporter: Reporter) -> str:
    return pipeline.run_repair(ws, spec, reporter).id


def run(ws: Workspace, *, full: bool = False, reporter: Reporter | None = None, workers: int = 2) -> Outcome:
    """The 12 runs of the plan (`full`: and the full-data run of each method), the table, the summary file."""
    started = time.perf_counter()
    repairs = [partial(_repair, ws, spec) for spec in specs(full)]
    _, *ids = results([partial(_base, ws), *repairs], workers, reporter or Silent())
    base = pipeline.base_evaluation(ws, EVALUATION)
    assert base is not None  # stored by the first piece of work
    runs = sorted((r for run_id in ids if (r := pipeline.find_run(ws, run_id)) is not None), key=_place)
    rows = [_row(base)] + [_row(r.evaluation, r) for r in runs if r.evaluation is not None]
    write_json(ws.path(SUMMARY), rows)
    seconds = time.perf_counter() - started
    last = f"{len(runs)} runs in {seconds:.0f} s; for machines: {ws.path(SUMMARY)}"
    text = "\n".join([table(base, runs), "", *findings(base, runs), "", last])
    return Outcome(rows, text, tuple(runs), seconds)


def _place(run: Run) -> tuple[int, str, str, int]:
    m = run.manifest
    return m.budget, m.spec.method, m.strategy, m.spec.seed


def _row(measured: Evaluation, run: Run | None = None) -> dict[str, Any]:
    """One model of the summary; budget in rows, the base model with strategy and method "none"."""
    kept = {name: measured.metrics[name] for name in METRICS if name in measured.metrics}
    return {
        "strategy": run.manifest.strategy if run else "none",
        "budget": run.manifest.budget if run else 0,
        "method": run.manifest.spec.method if run else "none",
        "seed": run.manifest.spec.seed if run else None,
        "metrics": {name: m.model_dump(include={"value", "low", "high", "n"}) for name, m in kept.items()},
    }


def results(work: Sequence[Work], workers: int, reporter: Reporter) -> list[str]:
    """Each piece of work's result, in order, from `workers` fresh processes; the first failure ends all."""
    found: dict[int, str] = {}

    def ended(at: int, future: Future[str]) -> None:
        found[at] = future.result()
        reporter.progress(len(found), len(work), WHAT)

    reporter.progress(0, len(work), WHAT)
    in_processes(work, workers, reporter, ended)
    return [found[at] for at in range(len(work))]
