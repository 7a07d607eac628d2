"""The process that does one job: `python -m core.jobs.worker WORKSPACE JOB_ID`.

Whatever it prints or logs goes to the job's log.txt. Its last act is outcome.json; without one it was killed.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import Stopped, UnknownName, WinnowError
from core.jobs.devices import as_seen
from core.jobs.files import Outcome, write_outcome
from core.jobs.reporter import FileReporter, heartbeat
from core.jobs.table import Job, Jobs
from core.values import Reporter
from core.workspace import Workspace

Task = Callable[[Workspace, dict[str, Any], Path, Reporter], Mapping[str, Any] | None]
TASKS = "core.pipeline:TASKS"  # module:name of the table kind -> task; WINNOW_TASKS names another
log = logging.getLogger("winnow")


def main(root: str, job_id: str) -> int:
    """Do the job; the exit status says only whether it went well, outcome.json says how."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    ws = Workspace.open(root)
    job = Jobs(ws).get(job_id)
    log.info("%s on %s: %s", job.kind, job.device or "the first device found", job.title)
    with heartbeat(job.folder):
        outcome = attempt(ws, job)
        write_outcome(job.folder, outcome)
    log.info("%s", f"{outcome.state}: {outcome.error}" if outcome.error else outcome.state)
    return 0 if outcome.state == "succeeded" else 1


def attempt(ws: Workspace, job: Job) -> Outcome:
    """Run the task; a user's mistake becomes its sentence, a bug its last line, and goes on rising."""
    try:
        result = _task(job.kind)(ws, _spec(job), job.folder, FileReporter(job.folder))
    except Stopped as stop:
        return Outcome(state="cancelled", error=str(stop))
    except WinnowError as error:
        return Outcome(state="failed", error=str(error))
    except BaseException as error:
        last = traceback.format_exception_only(error)[-1].strip()
        write_outcome(job.folder, Outcome(state="failed", error=last))
        raise  # the interpreter writes the traceback to stderr, which is the log
    return Outcome(state="succeeded", result=dict(result or {}))


def _spec(job: Job) -> dict[str, Any]:
    """What is asked for, with the device as this process sees it."""
    return job.spec | {"device": as_seen(job.wish)} if "device" in job.spec else job.spec


def _task(kind: str) -> Task:
    """The task of that kind; imported here, so that an unusable table is a failure like any other."""
    module, _, name = os.environ.get("WINNOW_TASKS", TASKS).partition(":")
    table: Mapping[str, Task] = getattr(importlib.import_module(module), name)
    if kind not in table:
        raise UnknownName(f"no task is named {kind!r}; there are {', '.join(sorted(table))}")
    return table[kind]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
