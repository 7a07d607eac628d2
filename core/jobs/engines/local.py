"""Workers as processes of this machine, each leading a group of its own, so that nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

import psutil

from core.jobs.devices import worker_environment
from core.jobs.engines import Exit, Process
from core.jobs.files import LOG
from core.jobs.processes import marked, runs, signal_group, started
from core.jobs.start import JOB_MARK
from core.jobs.table import Job
from core.workspace import Workspace
from core.workspace.store import PROJECT

# Spinning threads were 8 times slower on a busy machine; all of it must be set before torch and numpy load.
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class LocalEngine:
    """An Engine (core.jobs.engines) over subprocess; it takes the exit status of its own children."""

    def __init__(self, ws: Workspace, gpus: Mapping[str, str] | None = None) -> None:
        self._ws = ws
        self._gpus = dict(gpus or {})  # lane -> what CUDA_VISIBLE_DEVICES must say for it
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, job: Job) -> Process:
        """A fresh interpreter (no fork after CUDA), its output straight into the job's log."""
        job.folder.mkdir(parents=True, exist_ok=True)
        lane = worker_environment(job.device, job.wish, self._gpus)
        with (job.folder / LOG).open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "core.jobs.worker", str(self._ws.root), job.id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env={"OPENBLAS_NUM_THREADS": "1"} | os.environ | QUIET | lane | {JOB_MARK: job.id},
                start_new_session=True,
            )
        self._children[child.pid] = child
        return Process(
            job.id, child.pid, started(child.pid)
        )  # not yet waited for: even a dead one has a start time

    def poll(self, process: Process) -> Exit | None:
        """None while the worker runs; at its end all that it left behind is killed."""
        child = self._children.get(process.pid)
        if child is not None and child.poll() is None:
            return None
        if child is None and runs(process.pid, process.started):
            return None
        self._children.pop(process.pid, None)
        for left in marked(JOB_MARK, process.job):
            try:
                left.kill()
            except psutil.NoSuchProcess:
                continue
        return Exit(child.returncode if child is not None else None)

    def cancel(self, process: Process, *, force: bool) -> None:
        """TERM or KILL to the worker's whole group."""
        signal_group(process.pid, process.started, signal.SIGKILL if force else signal.SIGTERM)

    def adopt(self, job: Job) -> Process | None:
        """The worker by pid and start time; by its mark where the pid was never written down."""
        if job.pid is not None and job.pid_started is not None:
            same = runs(job.pid, job.pid_started)
            return Process(job.id, job.pid, job.pid_started) if same else None
        leaders = [p for p in marked(JOB_MARK, job.id) if os.getpgid(p.pid) == p.pid]
        return Process(job.id, leaders[0].pid, leaders[0].create_time()) if leaders else None
