"""Where workers run: the contract of an engine; local processes now, a cluster's queue could be another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.jobs.table import Job


@dataclass(frozen=True)
class Process:
    """The process that does a job; pid and start time together name it."""

    job: str
    pid: int
    started: float  # unix seconds


@dataclass(frozen=True)
class Exit:
    """A worker has ended: its exit status, below 0 for a signal, None where nobody could see it."""

    code: int | None


class Engine(Protocol):
    """Starts, watches and ends workers; the supervisor decides when."""

    def start(self, job: Job) -> Process:
        """Start the worker of `job`; OSError when the system cannot."""

    def poll(self, process: Process) -> Exit | None:
        """None while it runs; at its end nothing that it started may be left."""

    def cancel(self, process: Process, *, force: bool) -> None:
        """End it and all it started: by request (TERM), with `force` at once (KILL)."""

    def adopt(self, job: Job) -> Process | None:
        """The worker that an earlier supervisor started for `job`, if it still runs."""
