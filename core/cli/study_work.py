"""The missing runs of a study, done by the queue or by worker processes of this command."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core import pipeline
from core.errors import Stopped, WinnowError
from core.jobs import ACTIVE, Jobs
from core.pipeline.study_numbers import Cell
from core.values import EvaluationSpec, RepairSpec, Reporter
from core.workspace import Workspace

POLL_S = 0.5
ONE_THREAD = {  # waiting threads must not spin, and processes side by side need no threads of their own
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "WINNOW_THREADS": "1",
}
Say = Callable[[str], None]


@dataclass
class Tally:
    """What is done, what failed, and how long the rest may take, judged by the work that is done."""

    cells: Sequence[Cell]
    say: Say
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    work: float = 0.0
    failures: list[str] = field(default_factory=list)

    def end(self, cell: Cell, error: str = "") -> None:
        """One run has ended; a line says so, and how much is left."""
        self.done += 1
        self.work += cell.work
        if error:
            self.failures.append(f"{cell.label}: {error}")
        rest = sum(c.work for c in self.cells) - self.work
        seconds = (time.monotonic() - self.started) / max(self.work, 1e-9) * rest
        left = f", about {pipeline.duration(seconds)} left" if self.done < len(self.cells) else ""
        ended = f"failed: {error}" if error else "done"
        self.say(f"{self.done} of {len(self.cells)}  {cell.label}  {ended}{left}")


def by_queue(ws: Workspace, study: str, cells: Sequence[Cell], reporter: Reporter, say: Say) -> list[str]:
    """Queue the cells, cheap first, and follow them; what failed, a sentence each.

    A cell that waits or runs already is followed, not queued twice. Stopped when the reporter says so: the
    queue goes on without this command.
    """
    jobs, tally = Jobs(ws), Tally(cells, say)
    titles = [(cell, f"{study}: {cell.label}") for cell in cells]
    last = len(titles) - 1
    waiting = {
        jobs.submit("repair", cell.spec, title, once=True, start=at == last): cell
        for at, (cell, title) in enumerate(titles)
    }
    while waiting:
        active = {job.id for job in jobs.list(*ACTIVE)}
        for job_id in [i for i in waiting if i not in active]:
            job = jobs.get(job_id)
            tally.end(waiting.pop(job_id), "" if job.state == "succeeded" else job.error or job.state)
        if waiting and reporter.stopping():
            raise Stopped(
                f"no longer following; the queue goes on with {len(waiting)} runs. Follow them again with "
                "the same command, see them with `job list`"
            )
        if waiting:
            time.sleep(POLL_S)
    return tally.failures


def here(ws: Workspace, cells: Sequence[Cell], workers: int, reporter: Reporter, say: Say) -> list[str]:
    """Run the cells in `workers` processes of this command, one thread each; what failed, a sentence each.

    One that fails does not stop the others. Stopped when the reporter says so: finished runs are kept, and
    those under way are taken up again by the next call.
    """
    os.environ.update(ONE_THREAD)  # for the new processes: theirs is read before any library loads
    spawn, tally = multiprocessing.get_context("spawn"), Tally(cells, say)
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, spawn, _deaf) as processes:
        asked = Path(folder) / "stop"
        try:
            if (base := _base(cells)) is not None:  # all need it: once, before they would wait for it
                _until({processes.submit(_evaluate, ws, base, asked)}, reporter, lambda f: f.result())
            futures = {processes.submit(_repair, ws, cell.spec, asked): cell for cell in cells}
            _until(set(futures), reporter, lambda f: tally.end(futures[f], _error(f)))
        except BrokenProcessPool as error:
            raise WinnowError(
                "a process that was repairing was ended from outside (often: out of memory); finished runs "
                "are kept, start the study again to go on, perhaps with fewer processes"
            ) from error
        finally:
            asked.touch()  # nothing is left running or queued, however this ends
            processes.shutdown(wait=True, cancel_futures=True)
    return tally.failures


def _base(cells: Sequence[Cell]) -> EvaluationSpec | None:
    """What to measure the untouched model on, as the cells' runs will ask for it."""
    spec = cells[0].spec if cells else None
    if spec is None or spec.evaluation is None:
        return None
    return spec.evaluation.model_copy(update={"model": spec.evaluation.model or spec.model})


def _until(left: set[Future[str]], reporter: Reporter, end: Callable[[Future[str]], object]) -> None:
    """Wait for all, telling `end` of each as it ends."""
    while left:
        if reporter.stopping():
            raise Stopped("stopped as asked; finished runs are kept, the others go on where they were")
        ended, left = wait(left, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in ended:
            end(future)


def _error(future: Future[str]) -> str:
    """What a person must know of a failed run; a bug is named by its kind, a lost process ends the study."""
    error = future.exception()
    if error is None:
        return ""
    if isinstance(error, BrokenProcessPool):
        raise error
    return str(error) if isinstance(error, WinnowError) else f"{type(error).__name__}: {error}"


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


def _deaf() -> None:
    """Leave Ctrl-C, which reaches all processes, to the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _evaluate(ws: Workspace, spec: EvaluationSpec, asked: Path) -> str:
    return pipeline.run_evaluation(ws, spec, _Obedient(asked)).model_hash


def _repair(ws: Workspace, spec: RepairSpec, asked: Path) -> str:
    run = pipeline.run_repair(ws, spec, _Obedient(asked))
    if run.interrupted:
        raise Stopped("stopped as asked; it goes on where it was when the study is started again")
    return run.id
