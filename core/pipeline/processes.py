"""Pieces of work in fresh processes beside each other, a thread each: told as they end, stopped together."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.errors import Stopped, WinnowError
from core.values import Reporter

POLL_S = 0.5
ONE_THREAD = {  # waiting threads must not spin, and processes side by side need no threads of their own
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "WINNOW_THREADS": "1",
}
Work = Callable[[Reporter], str]


class Obedient:
    """The Reporter of such a process: says nothing, stops when the first process was asked to."""

    def __init__(self, asked: Path) -> None:
        self._asked = asked  # a file that appears when work should end

    def progress(self, done: int, total: int, what: str) -> None:
        """Nothing is said; Stopped when the file is there."""
        if self._asked.exists():
            raise Stopped("stopped as asked; finished runs are kept")

    def record(self, row: Mapping[str, Any]) -> None:
        """The run's own file has it."""

    def stopping(self) -> bool:
        """Whether the file is there."""
        return self._asked.exists()

    def asked(self, what: str) -> bool:
        """Nothing is ever asked for on the way."""
        return False


def in_processes(
    work: Sequence[Work], workers: int, reporter: Reporter, ended: Callable[[int, Future[str]], object]
) -> None:
    """Do every piece in one of `workers` processes; `ended` is told its place and its future as it ends.

    What `ended` raises ends all. Stopped when the reporter says so, WinnowError when a process was killed;
    either way nothing is left running, and what was finished before stays.
    """
    os.environ.update(ONE_THREAD)  # for the new processes: theirs is read before any library loads
    spawn = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, spawn, _deaf) as processes:
        asked = Path(folder) / "stop"
        places = {processes.submit(_obey, piece, asked): at for at, piece in enumerate(work)}
        try:
            _follow(places, reporter, ended)
        finally:
            asked.touch()  # nothing is left running or queued, however this ends
            processes.shutdown(wait=True, cancel_futures=True)


def _follow(
    places: Mapping[Future[str], int], reporter: Reporter, ended: Callable[[int, Future[str]], object]
) -> None:
    left = set(places)
    while left:
        if reporter.stopping():
            raise Stopped("stopped as asked; finished runs are kept, the others go on where they were")
        done, left = wait(left, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=places.__getitem__):
            if isinstance(future.exception(), BrokenProcessPool):
                raise WinnowError(
                    "a process that was repairing was ended from outside (often: out of memory); finished "
                    "runs are kept, start again to go on, perhaps with fewer processes"
                )
            ended(places[future], future)


def _obey(piece: Work, asked: Path) -> str:
    return piece(Obedient(asked))


def _deaf() -> None:
    """Leave Ctrl-C, which reaches all processes, to the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
