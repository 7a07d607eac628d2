"""What a worker and its readers share on disk: the files of one job's folder, WORKSPACE/jobs/ID/.

Nobody holds a pipe: a page that stops reading would stall the work, one that comes back would have lost it.
"""

from __future__ import annotations

import codecs
import json
import time
from pathlib import Path
from typing import Any

from core.values import Frozen
from core.workspace import read_json, write_json

LOG = "log.txt"  # all the worker says
METRICS = "metrics.jsonl"  # one measurement per line
PROGRESS = "progress.json"
HEARTBEAT = "heartbeat"  # touched while the worker lives
STOP = "stop"  # there: a clean stop was asked for
ASKED = {"evaluate": "evaluate-now", "save": "save-now"}  # there: wanted once, at the next step
OUTCOME = "outcome.json"  # written last by the worker

HEARTBEAT_S = 2.0
SILENT_S = 30.0  # a long call into compiled code may hold the heartbeat back for some seconds


class Progress(Frozen):
    """How far the work is: `done` of `total` units of `what`."""

    done: int
    total: int
    what: str
    started: float  # when `what` began, unix seconds
    updated: float
    remaining: float | None = None  # seconds to the end of `what`, by its mean speed so far

    @property
    def share(self) -> float:
        """Part done, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


class Outcome(Frozen):
    """How the work ended, in the worker's own words."""

    state: str  # succeeded, failed or cancelled
    error: str = ""
    result: dict[str, Any] = {}


def read_progress(folder: Path) -> Progress | None:
    """The latest progress, or None before the first."""
    path = folder / PROGRESS
    return Progress(**read_json(path)) if path.is_file() else None


def read_outcome(folder: Path) -> Outcome | None:
    """How the work ended, or None while it goes on or when it was killed."""
    path = folder / OUTCOME
    return Outcome(**read_json(path)) if path.is_file() else None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Say how the work ended; the worker's last word."""
    write_json(folder / OUTCOME, outcome)


def silent(folder: Path, since: float) -> bool:
    """Whether the heartbeat has been missing for SILENT_S; before the first one, counted from `since`."""
    path = folder / HEARTBEAT
    last = path.stat().st_mtime if path.exists() else since
    return time.time() - last > SILENT_S


def _read_from(path: Path, offset: int, limit: int) -> tuple[bytes, int]:
    """Up to `limit` bytes from `offset`, and where they begin; a negative offset counts from the end."""
    if not path.is_file():
        return b"", 0
    with path.open("rb") as file:
        size = file.seek(0, 2)
        begin = max(size + offset, 0) if offset < 0 else min(offset, size)
        file.seek(begin)
        return file.read(limit), begin


def read_metrics(folder: Path, since: int = 0) -> tuple[list[dict[str, Any]], int]:
    """All rows recorded after byte `since`, and the offset to ask from next time; half a line waits."""
    data, begin = _read_from(folder / METRICS, since, -1)
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], begin + len(whole)


def tail_log(folder: Path, offset: int = -65_536, limit: int = 65_536) -> tuple[str, int]:
    """Log text from byte `offset` (negative: that many bytes before the end), and the next offset.

    A letter of several bytes that is only half written waits for the next call.
    """
    data, begin = _read_from(folder / LOG, offset, limit)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    return text, begin + len(data) - len(decoder.getstate()[0])
