"""The truth about jobs: order, state, pid, error; one SQLite file that any number of processes may open."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.errors import BadInput, StorageError, UnknownName
from core.jobs.files import STOP, Progress, read_outcome, read_progress, silent
from core.jobs.start import ensure_supervisor
from core.values import Frozen
from core.workspace import Workspace, write_bytes, write_json

STARTED = ("starting", "running", "cancelling")
ACTIVE = ("queued", *STARTED)
ENDED = ("succeeded", "failed", "cancelled", "lost")
STATES = (*ACTIVE, *ENDED)
BUSY_S = 30.0  # how long a writer waits for another
SCHEMA = 1
TABLES = """
CREATE TABLE jobs (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, spec TEXT NOT NULL,
    state TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', attempt INTEGER NOT NULL DEFAULT 0,
    pid INTEGER, pid_started REAL, created REAL NOT NULL, started REAL, ended REAL, stop_asked REAL
);
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE TABLE events (id TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Job(Frozen):
    """One piece of long work; times are unix seconds."""

    id: str
    kind: str  # a name in core.pipeline.TASKS
    title: str
    spec: dict[str, Any]
    state: str  # one of STATES
    attempt: int = 0
    pid: int | None = None
    pid_started: float | None = None  # with pid: a recycled pid is somebody else
    created: float
    started: float | None = None
    ended: float | None = None
    stop_asked: float | None = None
    error: str = ""
    folder: Path
    progress: Progress | None = None
    silent: bool = False  # runs, but its heartbeat is missing: "not responding"
    result: dict[str, Any] = {}  # what the task returned, once it succeeded


class Jobs:
    """The jobs of one workspace; every call opens the database anew, so threads may share one."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.path = ws.path("winnow.sqlite")
        if self._version() != SCHEMA:
            with ws.lock("winnow.sqlite"):
                self._create()

    def submit(
        self,
        kind: str,
        spec: Mapping[str, Any] | BaseModel,
        title: str,
        *,
        once: bool = False,
        start: bool = True,
    ) -> str:
        """Queue one job and see to it that a supervisor runs; the job's id.

        With `once`, an equal job that has not ended yet is returned instead of a second one.
        """
        plain = spec.model_dump(mode="json") if isinstance(spec, BaseModel) else dict(spec)
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
        now = time.time()
        job_id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(3)}"
        with self._write() as db:
            same = f"SELECT id FROM jobs WHERE kind = ? AND spec = ? AND state IN {ACTIVE}"
            found = db.execute(same, (kind, text)).fetchone() if once else None
            if found is None:
                write_json(self.folder(job_id) / "job.json", {"kind": kind, "title": title, "spec": plain})
                row = (job_id, kind, title, text, now)
                names = "id, kind, title, spec, created, state"
                db.execute(f"INSERT INTO jobs ({names}) VALUES (?, ?, ?, ?, ?, 'queued')", row)
                _event(db, job_id, "queued")
        if start:
            ensure_supervisor(self.ws)
        return job_id if found is None else str(found["id"])

    def list(self, *states: str) -> list[Job]:
        """Jobs in these states (default: all), the newest first; progress is read for the active ones."""
        where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        with self._read() as db:
            rows = db.execute(f"SELECT * FROM jobs {where} ORDER BY position DESC", states).fetchall()
        return [self._job(row, detail=row["state"] in ACTIVE) for row in rows]

    def get(self, job_id: str) -> Job:
        """One job with its progress and result; UnknownName when there is none."""
        with self._read() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise UnknownName(f"the workspace {self.ws.root} has no job {job_id!r}; `job list` shows them")
        return self._job(row, detail=True)

    def folder(self, job_id: str) -> Path:
        """Where the job's files lie: log.txt, metrics.jsonl, progress.json and what its task writes."""
        return self.ws.path("jobs", job_id)

    def cancel(self, job_id: str, *, now: bool = False) -> Job:
        """Ask for a clean stop; a queued job is cancelled at once, an ended one stays as it is.

        A worker that does not stop within `grace` seconds is ended by force; with `now`, at once.
        """
        self.get(job_id)
        asked = 0.0 if now else time.time()
        with self._write() as db:
            waits = "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'"
            if db.execute(waits, (time.time(), job_id)).rowcount:
                _event(db, job_id, "cancelled")
            runs = "UPDATE jobs SET state = 'cancelling', stop_asked = MIN(?, COALESCE(stop_asked, ?))"
            runs += f" WHERE id = ? AND state IN {STARTED}"
            if db.execute(runs, (asked, asked, job_id)).rowcount:
                write_bytes(self.folder(job_id) / STOP, b"")
                _event(db, job_id, "cancelling")
        return self.get(job_id)

    def wait(
        self, job_id: str, timeout: float | None = None, look: Callable[[Job], None] | None = None
    ) -> Job:
        """The job once it has ended (or as it is after `timeout` seconds); `look` sees it on the way."""
        start = time.monotonic()
        while True:
            job = self.get(job_id)
            if look is not None:
                look(job)
            if job.state in ENDED or (timeout is not None and time.monotonic() - start > timeout):
                return job
            time.sleep(0.1)

    @property
    def slots(self) -> int:
        """How many jobs run at once."""
        return int(self.setting("slots", "1"))

    def set_slots(self, slots: int) -> None:
        """Let `slots` jobs run at once from now on; running ones are never stopped for it."""
        if slots < 1:
            raise BadInput(f"{slots} jobs at once were asked for; at least 1 must be able to run")
        self.set_setting("slots", str(slots))

    def setting(self, name: str, default: str) -> str:
        """A setting of the supervisor: slots, grace or kill_after (seconds; see supervisor.py)."""
        with self._read() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        """Keep a setting; the supervisor looks at it every round."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def claim(self) -> Job | None:
        """The next queued job, now `starting`; None when the queue is empty. For the supervisor alone."""
        with self._write() as db:
            row = db.execute(
                "SELECT id FROM jobs WHERE state = 'queued' ORDER BY position LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            start = "UPDATE jobs SET state = 'starting', started = ?, attempt = attempt + 1 WHERE id = ?"
            db.execute(start, (time.time(), row["id"]))
            _event(db, row["id"], "starting")
        return self.get(row["id"])

    def remember(self, job_id: str, pid: int, pid_started: float) -> None:
        """Which process does the job."""
        with self._write() as db:
            db.execute("UPDATE jobs SET pid = ?, pid_started = ? WHERE id = ?", (pid, pid_started, job_id))

    def move(self, job_id: str, old: str, new: str) -> bool:
        """Change the state from `old` to `new`; False when it was no longer `old`."""
        with self._write() as db:
            update = "UPDATE jobs SET state = ? WHERE id = ? AND state = ?"
            moved = db.execute(update, (new, job_id, old)).rowcount > 0
            if moved:
                _event(db, job_id, new)
        return moved

    def end(self, job_id: str, state: str, error: str) -> None:
        """The job has ended; an ended job never changes again."""
        with self._write() as db:
            update = f"UPDATE jobs SET state = ?, error = ?, ended = ? WHERE id = ? AND state NOT IN {ENDED}"
            if db.execute(update, (state, error, time.time(), job_id)).rowcount:
                _event(db, job_id, state)

    def _job(self, row: sqlite3.Row, detail: bool) -> Job:
        known = dict(row)
        del known["position"]
        folder = self.folder(row["id"])
        outcome = read_outcome(folder) if detail and row["state"] == "succeeded" else None
        return Job(
            **known | {"spec": json.loads(row["spec"])},
            folder=folder,
            progress=read_progress(folder) if detail else None,
            silent=row["state"] in STARTED and silent(folder, row["started"]),
            result=outcome.result if outcome else {},
        )

    def _version(self) -> int:
        if not self.path.exists():
            return 0
        with self._read() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise StorageError(
                f"{self.path} was written by a newer Winnow; update this one, or use another workspace"
            )
        return version

    def _create(self) -> None:
        """Make the tables; under the workspace's lock, for the change to WAL does not wait for others."""
        if self._version() == SCHEMA:
            return
        with self._read() as db:
            db.execute("PRAGMA journal_mode = WAL")
        with self._write() as db:
            for statement in TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                yield db
        except sqlite3.Error as error:
            raise StorageError(
                f"{self.path} cannot be used ({error}); check that the disk has space, that the file may be "
                "written, and that no program holds it open; a damaged one can be moved away, it holds "
                "only the list of jobs. Nothing already stored was changed."
            ) from error

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, kept whole or not at all."""
        with self._read() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _event(db: sqlite3.Connection, job_id: str, state: str) -> None:
    db.execute("INSERT INTO events VALUES (?, ?, ?)", (job_id, time.time(), state))
