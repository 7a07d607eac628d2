"""The missing runs of a study, done by the queue or by worker processes of this command."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from core import pipeline
from core.errors import Stopped, WinnowError
from core.jobs import ACTIVE, Jobs
from core.pipeline.processes import in_processes
from core.pipeline.study_numbers import Cell
from core.values import EvaluationSpec, RepairSpec, Reporter
from core.workspace import Workspace

POLL_S = 0.5
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
    tally = Tally(cells, say)
    if (base := _base(cells)) is not None:  # all need it: once, before they would wait for it
        in_processes([partial(_evaluate, ws, base)], 1, reporter, lambda _, future: future.result())
    repairs = [partial(_repair, ws, cell.spec) for cell in cells]
    in_processes(repairs, workers, reporter, lambda at, future: tally.end(cells[at], _error(future)))
    return tally.failures


def _base(cells: Sequence[Cell]) -> EvaluationSpec | None:
    """What to measure the untouched model on, as the cells' runs will ask for it."""
    spec = cells[0].spec if cells else None
    if spec is None or spec.evaluation is None:
        return None
    return spec.evaluation.model_copy(update={"model": spec.evaluation.model or spec.model})


def _error(future: Future[str]) -> str:
    """What a person must know of a failed run; a bug is named by its kind."""
    error = future.exception()
    if error is None:
        return ""
    return str(error) if isinstance(error, WinnowError) else f"{type(error).__name__}: {error}"


def _evaluate(ws: Workspace, spec: EvaluationSpec, reporter: Reporter) -> str:
    return pipeline.run_evaluation(ws, spec, reporter).model_hash


def _repair(ws: Workspace, spec: RepairSpec, reporter: Reporter) -> str:
    run = pipeline.run_repair(ws, spec, reporter)
    if run.interrupted:
        raise Stopped("stopped as asked; it goes on where it was when the study is started again")
    return run.id
