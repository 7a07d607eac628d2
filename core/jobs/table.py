"""The truth about jobs: order, state, pid, error; one SQLite file that any number of processes may open."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.errors import BadInput, UnknownName
from core.jobs import lanes
from core.jobs.database import Database, event
from core.jobs.files import ASKED, STOP, Progress, read_outcome, read_progress, silent
from core.jobs.start import ensure_supervisor
from core.values import Frozen
from core.workspace import Workspace, write_bytes, write_json

STARTED = ("starting", "running", "cancelling")
ACTIVE = ("queued", *STARTED)
ENDED = ("succeeded", "failed", "cancelled", "lost")
STATES = (*ACTIVE, *ENDED)


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
    device: str = ""  # the lane it has or had: cpu, cuda:N or mps; empty before its turn
    place: int | None = None  # in the queue, 1 is next; None when it does not wait
    folder: Path
    progress: Progress | None = None
    silent: bool = False  # runs, but its heartbeat is missing: "not responding"
    result: dict[str, Any] = {}  # what the task returned, once it succeeded

    @property
    def wish(self) -> str:
        """The device it asks for."""
        return lanes.wish(self.spec)


class Jobs:
    """The jobs of one workspace; every call opens the database anew, so threads may share one."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._db = Database(ws)
        self.path = self._db.path

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
        with self._db.write() as db:
            same = f"SELECT id FROM jobs WHERE kind = ? AND spec = ? AND state IN {ACTIVE}"
            found = db.execute(same, (kind, text)).fetchone() if once else None
            if found is None:
                write_json(self.folder(job_id) / "job.json", {"kind": kind, "title": title, "spec": plain})
                row = (job_id, kind, title, text, now)
                last = "(SELECT COALESCE(MAX(turn), 0) + 1 FROM jobs)"
                names = "id, kind, title, spec, created, state, turn"
                db.execute(f"INSERT INTO jobs ({names}) VALUES (?, ?, ?, ?, ?, 'queued', {last})", row)
                event(db, job_id, "queued")
        if start:
            ensure_supervisor(self.ws)
        return job_id if found is None else str(found["id"])

    def list(self, *states: str) -> list[Job]:
        """Jobs in these states (default: all), the newest first; progress is read for the active ones."""
        where = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        with self._db.read() as db:
            rows = db.execute(f"SELECT * FROM jobs {where} ORDER BY position DESC", states).fetchall()
            places = _places(db)
        return [self._job(row, places, detail=row["state"] in ACTIVE) for row in rows]

    def get(self, job_id: str) -> Job:
        """One job with its progress and result; UnknownName when there is none."""
        with self._db.read() as db:
            row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            places = _places(db)
        if row is None:
            raise UnknownName(f"the workspace {self.ws.root} has no job {job_id!r}; `job list` shows them")
        return self._job(row, places, detail=True)

    def folder(self, job_id: str) -> Path:
        """Where the job's files lie: log.txt, metrics.jsonl, progress.json and what its task writes."""
        return self.ws.path("jobs", job_id)

    def cancel(self, job_id: str, *, now: bool = False) -> Job:
        """Ask for a clean stop; a queued job is cancelled at once, an ended one stays as it is.

        A worker that does not stop within `grace` seconds is ended by force; with `now`, at once.
        """
        self.get(job_id)
        asked = 0.0 if now else time.time()
        with self._db.write() as db:
            waits = "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'"
            if db.execute(waits, (time.time(), job_id)).rowcount:
                event(db, job_id, "cancelled")
            runs = "UPDATE jobs SET state = 'cancelling', stop_asked = MIN(?, COALESCE(stop_asked, ?))"
            runs += f" WHERE id = ? AND state IN {STARTED}"
            if db.execute(runs, (asked, asked, job_id)).rowcount:
                write_bytes(self.folder(job_id) / STOP, b"")
                event(db, job_id, "cancelling")
        return self.get(job_id)

    def reorder(self, job_id: str, where: str) -> Job:
        """Move a waiting job: "first", "up", "down" or "last"; BadInput when it does not wait."""
        job = self.get(job_id)
        with self._db.write() as db:
            waiting = _waiting(db)
            ids = [row["id"] for row in waiting]
            if job_id not in ids:
                raise BadInput(f"job {job_id} is {job.state}; only waiting jobs have a place that can change")
            turns = sorted(row["turn"] for row in waiting)
            for turn, moved in zip(turns, lanes.reordered(ids, job_id, where), strict=True):
                db.execute("UPDATE jobs SET turn = ? WHERE id = ?", (turn, moved))
        return self.get(job_id)

    def ask(self, job_id: str, what: str) -> Job:
        """Ask a running job to "evaluate" (look at its panel now) or "save" the model as it is, once."""
        if what not in ASKED:
            raise BadInput(f"a job cannot be asked to {what!r}; it can be asked to {' or '.join(ASKED)}")
        job = self.get(job_id)
        if job.state not in ("starting", "running"):
            raise BadInput(f"job {job_id} is {job.state}; only a running job can {what}")
        write_bytes(job.folder / ASKED[what], b"")
        return job

    def resubmit(self, job_id: str, *, start: bool = True) -> str:
        """Queue again what an ended job did; a repair goes on from its checkpoint. The new job's id."""
        job = self.get(job_id)
        if job.state not in ENDED:
            raise BadInput(f"job {job_id} is {job.state}; only an ended job can be started again")
        return self.submit(job.kind, job.spec, job.title, once=True, start=start)

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
        """How many jobs run on the CPU at once."""
        return int(self.setting("slots", "1"))

    def set_slots(self, slots: int) -> None:
        """Let `slots` jobs run at once on the CPU from now on; running ones are never stopped for it."""
        self._set_count("slots", slots)

    @property
    def gpu_slots(self) -> int:
        """How many jobs run at once on each GPU."""
        return int(self.setting("gpu_slots", "1"))

    def set_gpu_slots(self, slots: int) -> None:
        """Let `slots` jobs share each GPU from now on; their memory must fit together."""
        self._set_count("gpu_slots", slots)

    def _set_count(self, name: str, count: int) -> None:
        if count < 1:
            raise BadInput(f"{count} jobs at once were asked for; at least 1 must be able to run")
        self.set_setting(name, str(count))

    def setting(self, name: str, default: str) -> str:
        """A setting of the supervisor: slots, gpu_slots, grace or kill_after (seconds; see supervisor.py)."""
        with self._db.read() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        """Keep a setting; the supervisor looks at it every round."""
        with self._db.write() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def claim(self, gpus: Sequence[str] = ()) -> Job | None:
        """The first waiting job with a free lane, now `starting` there; None when there is none.

        `gpus` names this machine's accelerators. Leases are counted in the same transaction, so two
        supervisors at the same moment could neither take one job twice nor fill a lane above its slots.
        """
        slots = {"cpu_slots": self.slots, "gpu_slots": self.gpu_slots}
        with self._db.read() as db:
            if _next(db, gpus, slots) is None:  # most looks end here, without holding up any writer
                return None
        with self._db.write() as db:
            found = _next(db, gpus, slots)
            if found is None:
                return None
            job_id, lane = found
            start = "UPDATE jobs SET state = 'starting', started = ?, device = ?, attempt = attempt + 1"
            db.execute(start + " WHERE id = ?", (time.time(), lane, job_id))
            event(db, job_id, "starting")
        return self.get(job_id)

    def remember(self, job_id: str, pid: int, pid_started: float) -> None:
        """Which process does the job."""
        with self._db.write() as db:
            db.execute("UPDATE jobs SET pid = ?, pid_started = ? WHERE id = ?", (pid, pid_started, job_id))

    def move(self, job_id: str, old: str, new: str) -> bool:
        """Change the state from `old` to `new`; False when it was no longer `old`."""
        with self._db.write() as db:
            back = ", device = ''" if new == "queued" else ""  # its lane is free again
            update = f"UPDATE jobs SET state = ?{back} WHERE id = ? AND state = ?"
            moved = db.execute(update, (new, job_id, old)).rowcount > 0
            if moved:
                event(db, job_id, new)
        return moved

    def end(self, job_id: str, state: str, error: str) -> None:
        """The job has ended; an ended job never changes again."""
        with self._db.write() as db:
            update = f"UPDATE jobs SET state = ?, error = ?, ended = ? WHERE id = ? AND state NOT IN {ENDED}"
            if db.execute(update, (state, error, time.time(), job_id)).rowcount:
                event(db, job_id, state)

    def _job(self, row: sqlite3.Row, places: Mapping[str, int], detail: bool) -> Job:
        known = dict(row)
        del known["position"], known["turn"]
        folder = self.folder(row["id"])
        outcome = read_outcome(folder) if detail and row["state"] == "succeeded" else None
        return Job(
            **known | {"spec": json.loads(row["spec"])},
            folder=folder,
            place=places.get(row["id"]),
            progress=read_progress(folder) if detail else None,
            silent=row["state"] in STARTED and silent(folder, row["started"]),
            result=outcome.result if outcome else {},
        )


def _waiting(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """The queue: who is next comes first."""
    found = db.execute("SELECT id, turn, spec FROM jobs WHERE state = 'queued' ORDER BY turn, position")
    return found.fetchall()


def _places(db: sqlite3.Connection) -> dict[str, int]:
    """Waiting job -> its place in the queue, from 1."""
    found = db.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY turn, position")
    return {row["id"]: place for place, row in enumerate(found, 1)}


def _next(db: sqlite3.Connection, gpus: Sequence[str], slots: Mapping[str, int]) -> tuple[str, str] | None:
    """The first waiting job that finds a free lane, with that lane."""
    leased = _leased(db, gpus)
    for row in _waiting(db):
        lane = lanes.free(lanes.wish(json.loads(row["spec"])), gpus, leased, **slots)
        if lane is not None:
            return str(row["id"]), lane
    return None


def _leased(db: sqlite3.Connection, gpus: Sequence[str]) -> Counter[str]:
    """Lane -> jobs that have it now; one begun before there were lanes may use the CPU and the first GPU."""
    leased: Counter[str] = Counter()
    for row in db.execute(f"SELECT device FROM jobs WHERE state IN {STARTED}"):
        leased.update([row["device"]] if row["device"] else [lanes.CPU, *gpus[:1]])
    return leased
