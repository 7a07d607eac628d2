"""The process that starts, watches, stops and adopts workers: `python -m core.jobs.supervisor --workspace W`.

One per workspace (a file lock); it needs neither a page nor the app, and leaves when nothing is to do.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

from core.errors import StorageError
from core.jobs.devices import accelerators
from core.jobs.engines import Engine, Exit, Process
from core.jobs.engines.local import LocalEngine
from core.jobs.files import HEARTBEAT, read_outcome
from core.jobs.processes import started
from core.jobs.start import card_path
from core.jobs.table import Job, Jobs
from core.workspace import Workspace, write_json

POLL_S = 0.2
IDLE_S = 600.0  # without work it leaves after this
GRACE_S = 30.0  # a job has this long to stop cleanly (setting `grace`) ...
KILL_S = 5.0  # ... and this long after TERM (setting `kill_after`)
PAUSE_S = 5.0  # after a failed look at the table (disk full, busy), before the next
HANDOVER_S = 2.0  # a leaving supervisor gives the lock back within this
ATTEMPTS = 3
log = logging.getLogger("winnow.supervisor")


class Supervisor:
    """Watches the table and an engine; `step` is one look at everything."""

    def __init__(self, jobs: Jobs, engine: Engine, gpus: Sequence[str] = ()) -> None:
        self.jobs = jobs
        self.engine = engine
        self.gpus = tuple(gpus)  # one lane each, beside the CPU's
        self.running: dict[str, Process] = {}
        self.termed: dict[str, float] = {}  # job -> when TERM was sent to it, monotonic

    def adopt(self) -> None:
        """Take over what an earlier supervisor left; what is gone ends as its outcome says, or is lost."""
        for job in self.jobs.list("starting", "running", "cancelling"):
            process = self.engine.adopt(job)
            if process is not None:
                log.info("adopted %s, pid %s", job.id, process.pid)
                self.jobs.remember(job.id, process.pid, process.started)
                self.running[job.id] = process
            elif job.pid is None and job.state == "starting" and job.attempt < ATTEMPTS:
                self.jobs.move(job.id, "starting", "queued")  # its process never began
            else:
                self._end(job, Exit(None))

    def step(self) -> bool:
        """Look at every running job, start what fits; whether anything runs."""
        for job_id, process in list(self.running.items()):
            self._look(self.jobs.get(job_id), process)
        while (job := self.jobs.claim(self.gpus)) is not None:
            self._start(job)
        return bool(self.running)

    def _start(self, job: Job) -> None:
        try:
            process = self.engine.start(job)
        except OSError as error:
            self.jobs.end(job.id, "failed", f"the system could not start a worker ({error}); try again later")
            return
        self.running[job.id] = process
        self.jobs.remember(job.id, process.pid, process.started)
        log.info("started %s (%s) on %s, pid %s", job.id, job.kind, job.device, process.pid)

    def _look(self, job: Job, process: Process) -> None:
        ended = self.engine.poll(process)
        if ended is not None:
            self._end(job, ended)
            del self.running[job.id]  # last: when the table cannot be written now, the next look tries again
        elif job.state == "starting" and (job.folder / HEARTBEAT).exists():
            self.jobs.move(job.id, "starting", "running")
        elif job.state == "cancelling":
            self._press(job, process)

    def _press(self, job: Job, process: Process) -> None:
        """The stop flag lies there already; after the grace comes TERM, then KILL."""
        if time.time() - (job.stop_asked or 0.0) < float(self.jobs.setting("grace", str(GRACE_S))):
            return
        if job.id not in self.termed:
            self.termed[job.id] = time.monotonic()
            self.engine.cancel(process, force=False)
        elif time.monotonic() - self.termed[job.id] > float(self.jobs.setting("kill_after", str(KILL_S))):
            self.engine.cancel(process, force=True)

    def _end(self, job: Job, ended: Exit) -> None:
        state, error = verdict(self.jobs.get(job.id), ended)
        log.info("%s %s %s", job.id, state, error)
        self.jobs.end(job.id, state, error)


def verdict(job: Job, ended: Exit) -> tuple[str, str]:
    """State and reason of a job whose worker has ended: its own words, else what the exit status tells."""
    outcome = read_outcome(job.folder)
    if outcome is not None:
        return outcome.state, outcome.error
    if job.state == "cancelling":
        return "cancelled", "ended by force: it did not stop by itself in time"
    if ended.code is not None and ended.code >= 0:
        return "failed", f"the worker ended without a word (exit status {ended.code}); its log may say why"
    how = f"was ended by signal {-ended.code} ({signal.strsignal(-ended.code)})" if ended.code else "is gone"
    return (
        "lost",
        f"the worker (pid {job.pid}) {how}; often the machine ran out of memory. Resume it",
    )


def run(ws: Workspace, slots: int | None, idle: float) -> None:
    """Supervise until there was nothing to do for `idle` seconds; StorageError when another one does."""
    with ws.lock("supervisor", timeout=HANDOVER_S):
        jobs = Jobs(ws)
        if slots is not None:
            jobs.set_slots(slots)
        gpus = accelerators()
        supervisor = Supervisor(jobs, LocalEngine(ws, gpus), tuple(gpus))
        supervisor.adopt()
        try:
            _watch(ws, supervisor, idle)
        finally:
            card_path(ws).unlink(missing_ok=True)


def _watch(ws: Workspace, supervisor: Supervisor, idle: float) -> None:
    card = {"pid": os.getpid(), "started": started(os.getpid())}
    write_json(card_path(ws), card)
    last = time.monotonic()
    while True:
        try:
            if supervisor.step():
                last = time.monotonic()
        except StorageError as error:
            log.warning("%s", error)
            if not supervisor.jobs.path.exists():
                return  # the workspace was removed
            time.sleep(PAUSE_S)
        if time.monotonic() - last > idle:
            # First the card, then a last look: who submits now either finds no card and starts another
            # supervisor, or had queued the job before this look.
            card_path(ws).unlink(missing_ok=True)
            if not supervisor.jobs.list("queued"):
                return
            write_json(card_path(ws), card)
        time.sleep(POLL_S)


def main(arguments: list[str]) -> int:
    """Read the command line and supervise; 1 when another supervisor is there already."""
    parser = argparse.ArgumentParser(prog="core.jobs.supervisor", description=__doc__)
    parser.add_argument("--workspace", required=True, help="folder of the workspace")
    parser.add_argument(
        "--slots", type=int, help="jobs at once on the CPU; kept for later supervisors (default: 1)"
    )
    parser.add_argument(
        "--idle", type=float, default=IDLE_S, help="seconds without work after which it leaves"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # workers go on; the next supervisor adopts them
    try:
        run(Workspace.open(given.workspace), given.slots, given.idle)
    except StorageError as error:
        log.info("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
