"""Runs the demo: base evaluation, then its repairs, two processes at a time with one thread each.

What was run before in the same workspace is read, not run again.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core import pipeline
from core.demo.build import quiet_threads
from core.demo.plan import EVALUATION, specs
from core.demo.table import findings, table
from core.errors import Stopped, WinnowError
from core.pipeline import Run
from core.values import Evaluation, RepairSpec, Reporter, Silent
from core.workspace import Workspace, write_json

SUMMARY = "demo-summary.json"
METRICS = ("emt", "tp", "toxicity_mean", "toxic_fraction", "perplexity", "bits_per_byte")
POLL_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """What came out: rows for machines (also in WORKSPACE/demo-summary.json), text for people."""

    rows: list[dict[str, Any]]
    text: str
    runs: tuple[Run, ...]
    seconds: float


class _Obedient:
    """The Reporter of a worker process: says nothing, stops when the first process was asked to."""

    def __init__(self, asked: Path) -> None:
        self._asked = asked  # a file that appears when work should end

    def progress(self, done: int, total: int, what: str) -> None:
        if self._asked.exists():
            raise Stopped("stopped as asked; finished runs are kept")

    def record(self, row: Mapping[str, Any]) -> None:
        return

    def stopping(self) -> bool:
        return self._asked.exists()

    def asked(self, what: str) -> bool:
        """Nothing is ever asked for on the way."""
        return False


def _start() -> None:
    """Make a new process fit for torch, and leave Ctrl-C, which reaches all of them, to the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet_threads()


def _base(ws: Workspace, asked: Path) -> str:
    return pipeline.run_evaluation(ws, EVALUATION, _Obedient(asked)).model_hash


def _repair(ws: Workspace, spec: RepairSpec, asked: Path) -> str:
    return pipeline.run_repair(ws, spec, _Obedient(asked)).id


def run(ws: Workspace, *, full: bool = False, reporter: Reporter | None = None, workers: int = 2) -> Outcome:
    """The 12 runs of the plan (`full`: and the full-data run of each method), the table, the summary file."""
    started = time.perf_counter()
    repairs = [partial(_repair, ws, spec) for spec in specs(full)]
    _, *ids = side_by_side([partial(_base, ws), *repairs], workers, reporter or Silent())
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


def side_by_side(work: Sequence[Callable[[Path], str]], workers: int, reporter: Reporter) -> list[str]:
    """Each piece of work's result, in order, done in `workers` fresh processes; the first failure ends all.

    A piece gets the path of a file that does not exist; when it does, the piece should stop.
    """
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, spawn, _start) as processes:
        asked = Path(folder) / "stop"
        futures = [processes.submit(piece, asked) for piece in work]
        try:
            _watch(futures, reporter)
        except BrokenProcessPool as error:
            raise WinnowError(
                "a process that was repairing was ended from outside (often: out of memory); finished runs "
                "are kept, start the demo again to go on"
            ) from error
        finally:
            asked.touch()  # nothing is left running or queued, however this ends
            processes.shutdown(wait=True, cancel_futures=True)
        return [future.result() for future in futures]


def _watch(futures: Sequence[Future[str]], reporter: Reporter) -> None:
    """Wait for all; raise the first error of any, or Stopped when the reporter says so."""
    left = set(futures)
    while left:
        reporter.progress(len(futures) - len(left), len(futures), "base evaluation and repairs")
        if reporter.stopping():
            raise Stopped("stopped as asked; finished runs are kept")
        done, left = wait(left, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    reporter.progress(len(futures), len(futures), "base evaluation and repairs")
