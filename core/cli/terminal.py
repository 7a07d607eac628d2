"""Tell a person at a terminal how far long work is, and stop cleanly at Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import typer

from core.errors import Stopped

REDRAW_S = 0.2


class Terminal:
    """A Reporter for people: one line on stderr, how far and how long still. Ctrl-C or TERM stops cleanly."""

    def __init__(self) -> None:
        self._what, self._started, self._shown, self._stop = "", 0.0, 0.0, False
        for asked in (signal.SIGINT, signal.SIGTERM):
            signal.signal(asked, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if self._stop:  # asked twice: leave at once
            raise KeyboardInterrupt
        self._stop = True
        typer.echo("\nstopping after this step; press Ctrl-C again to leave at once", err=True)

    def progress(self, done: int, total: int, what: str) -> None:
        """Redraw the line at most five times a second."""
        if self._stop:
            raise Stopped("stopped as asked; what was finished before is kept")
        now = time.monotonic()
        if what != self._what:
            self._what, self._started = what, now
        elif done < total and now - self._shown < REDRAW_S:
            return
        self._shown = now
        left = (now - self._started) / done * (total - done) if done else None
        remaining = "" if left is None else f", {left:.0f} s left"
        end = "\n" if done >= total else "\r"
        line = f"{what}: {done:,} of {total:,}{remaining}" if total else what
        if sys.stderr.isatty() or done >= total:
            sys.stderr.write(f"{line:<78}{end}")
            sys.stderr.flush()

    def record(self, row: Mapping[str, Any]) -> None:
        """Measurements go to the run's own file."""

    def stopping(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._stop

    def asked(self, what: str) -> bool:
        """Nothing is ever asked for on the way."""
        return False
