"""How a worker tells how far it is: progress, measurements and a heartbeat, in files of the job's folder."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import Stopped
from core.jobs.files import ASKED, HEARTBEAT, HEARTBEAT_S, METRICS, PROGRESS, STOP, Progress
from core.workspace import write_json
from core.workspace.files import plain

EVERY_S = 0.5  # progress is written no more often than this; readers look every two seconds
log = logging.getLogger("winnow")


class FileReporter:
    """A Reporter (core.values) that writes into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._what = ""
        self._began = 0.0  # when `what` began
        self._from = 0  # units already done then: a resumed job is not infinitely fast
        self._written = 0.0

    def progress(self, done: int, total: int, what: str) -> None:
        """Write how far the work is, with the time it still needs; Stopped when a stop was asked for."""
        if self.stopping():
            raise Stopped(f"stopped on request at {done:,} of {total:,} ({what})")
        now = time.time()
        new = what != self._what
        if new:
            self._what, self._began, self._from = what, now, done
            log.info("%s (%s)", what, f"{total:,}")
        if new or done >= total or now - self._written >= EVERY_S:
            self._written = now
            kept = Progress(
                done=done,
                total=total,
                what=what,
                started=self._began,
                updated=now,
                remaining=self._remaining(done, total, now),
            )
            write_json(self.folder / PROGRESS, kept)

    def _remaining(self, done: int, total: int, now: float) -> float | None:
        made = done - self._from
        return (now - self._began) / made * max(total - done, 0) if made > 0 else None

    def record(self, row: Mapping[str, Any]) -> None:
        """Append one row of measurements; what is not finite becomes null, for json knows no NaN."""
        finite = json.loads(json.dumps(plain(row)), parse_constant=lambda _: None)
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite, ensure_ascii=False) + "\n")

    def stopping(self) -> bool:
        """Whether the stop flag lies in the folder."""
        return (self.folder / STOP).exists()

    def asked(self, what: str) -> bool:
        """Whether the flag of that name lies in the folder; it is taken away."""
        try:
            (self.folder / ASKED[what]).unlink()
        except FileNotFoundError:
            return False
        return True


@contextmanager
def heartbeat(folder: Path) -> Iterator[None]:
    """Touch the heartbeat file until the block ends, from a thread of its own."""
    end = threading.Event()

    def beat() -> None:
        while not end.wait(HEARTBEAT_S):
            (folder / HEARTBEAT).touch()

    (folder / HEARTBEAT).touch()
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
