"""The one SQLite file of a workspace: its tables, how an older file becomes today's, and transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from core.errors import StorageError
from core.workspace import Workspace

BUSY_S = 30.0  # how long a writer waits for another
SCHEMA = 2
FIRST = """
CREATE TABLE jobs (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, spec TEXT NOT NULL,
    state TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', attempt INTEGER NOT NULL DEFAULT 0,
    pid INTEGER, pid_started REAL, created REAL NOT NULL, started REAL, ended REAL, stop_asked REAL
);
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE TABLE events (id TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)
"""
# position tells the age of a job and never changes; turn tells who is next, and can be swapped.
SECOND = """
ALTER TABLE jobs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN device TEXT NOT NULL DEFAULT '';
UPDATE jobs SET turn = position;
DROP INDEX jobs_by_state;
CREATE INDEX jobs_by_state ON jobs (state, turn)
"""
STEPS = (FIRST, SECOND)  # from an empty file to today's, one version after the other


class Database:
    """Opens the file anew for every transaction, so threads and processes may share it."""

    def __init__(self, ws: Workspace) -> None:
        self.path = ws.path("winnow.sqlite")
        if self._version() != SCHEMA:
            with ws.lock("winnow.sqlite"):
                self._bring_up()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to look; every fault of the file is a StorageError."""
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
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, kept whole or not at all."""
        with self.read() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _version(self) -> int:
        if not self.path.exists():
            return 0
        with self.read() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise StorageError(
                f"{self.path} was written by a newer Winnow; update this one, or use another workspace"
            )
        return version

    def _bring_up(self) -> None:
        """Make or change the tables; under the workspace's lock: the change to WAL waits for nobody."""
        version = self._version()
        if version == SCHEMA:
            return
        with self.read() as db:
            db.execute("PRAGMA journal_mode = WAL")
        with self.write() as db:
            for step in STEPS[version:]:
                for statement in step.split(";"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA}")


def event(db: sqlite3.Connection, job_id: str, state: str) -> None:
    """Write down that the job changed its state now."""
    db.execute("INSERT INTO events VALUES (?, ?, ?)", (job_id, time.time(), state))
