"""Start the supervisor of a workspace where none runs, and stop it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from core.errors import StorageError
from core.jobs.processes import runs
from core.workspace import Workspace, read_json
from core.workspace.files import storage_errors
from core.workspace.store import PROJECT

CARD = "supervisor.json"  # who holds the workspace's lock `supervisor`: pid and start time
JOB_MARK = "WINNOW_JOB"  # environment variable of a worker and all it starts
PATIENCE_S = 30.0


def supervisor_pid(ws: Workspace) -> int | None:
    """The pid of the running supervisor, or None."""
    path = ws.path("jobs", CARD)
    try:
        card = read_json(path) if path.is_file() else None
    except StorageError:
        if path.is_file():
            raise
        return None  # taken away between the two looks
    return int(card["pid"]) if card and runs(card["pid"], card["started"]) else None


def ensure_supervisor(ws: Workspace) -> int:
    """The pid of the workspace's supervisor, started now if there was none.

    Any number of callers may ask at once: each may start one, the lock lets one live. It outlives its caller.
    """
    child: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        pid = supervisor_pid(ws)
        if pid is not None:
            return pid
        if child is None or child.poll() is not None:
            child = _start(ws)
        time.sleep(0.05)
    log = ws.path("jobs", "supervisor.log")
    raise StorageError(
        f"the supervisor of {ws.root} did not start within {PATIENCE_S:.0f} s; {log} says why. "
        "Queued jobs stay queued."
    )


def _start(ws: Workspace) -> subprocess.Popen[bytes]:
    log = ws.path("jobs", "supervisor.log")
    command = [sys.executable, "-m", "core.jobs.supervisor", "--workspace", str(ws.root)]
    environment = {name: value for name, value in os.environ.items() if name != JOB_MARK}
    with storage_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=PROJECT,
                env=environment | {"PYTHONPATH": _python_path()},
                start_new_session=True,
            )
    # Somebody must take its exit status one day, or it stays as a zombie as long as the app runs.
    threading.Thread(target=child.wait, daemon=True).start()
    return child


def _python_path() -> str:
    """Where the child finds `core`, before what the user set."""
    return os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))


def stop_supervisor(ws: Workspace, timeout: float = 10.0) -> bool:
    """End the supervisor, not the jobs it started: the next one adopts them. Whether there was one."""
    pid = supervisor_pid(ws)
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(timeout)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired as error:
        raise StorageError(
            f"the supervisor (pid {pid}) did not end within {timeout:.0f} s; look at it"
        ) from error
    return True


def card_path(ws: Workspace) -> Path:
    """Where the running supervisor says who it is."""
    return ws.path("jobs", CARD)
