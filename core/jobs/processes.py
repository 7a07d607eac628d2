"""Which process is meant: a pid may be somebody else's by now, so its start time goes with it."""

from __future__ import annotations

import os
import signal

import psutil

SAME_S = 2.0  # a clock that was set right moves all start times a little


def started(pid: int) -> float:
    """When the process began, unix seconds; psutil.NoSuchProcess when it is gone."""
    return float(psutil.Process(pid).create_time())


def runs(pid: int, since: float) -> bool:
    """Whether that very process still runs; a zombie has ended."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - since) < SAME_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(name: str, value: str) -> list[psutil.Process]:
    """All processes of this user that were started with the environment variable name=value."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):  # gone, or another user's
            continue
    return found


def signal_group(pid: int, since: float, number: signal.Signals) -> None:
    """Send a signal to the whole group that the process leads, if it is still that process."""
    if runs(pid, since):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # it ended just now
            return
