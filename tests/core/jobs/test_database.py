"""A file that an older Winnow wrote becomes today's in place, and nothing in it is lost."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from core.errors import StorageError
from core.jobs import Jobs
from core.jobs.database import SCHEMA, STEPS
from core.workspace import Workspace

OLD = Path(__file__).parent / "schema1.sql"  # dump of a file that schema 1 wrote: one job in each of 4 states
COLUMNS = "id, kind, title, spec, state, error, attempt, pid, pid_started, created, started, ended"


def rows(path, query):
    db = sqlite3.connect(path)
    found = db.execute(query).fetchall()
    db.close()
    return found


@pytest.fixture
def old(tmp_path):
    ws = Workspace.open(tmp_path / "ws", None)
    db = sqlite3.connect(ws.path("winnow.sqlite"))
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(OLD.read_text())
    db.close()
    return ws


def test_each_version_has_its_step():
    assert len(STEPS) == SCHEMA == 2


def test_a_schema_1_file_keeps_every_job_event_and_setting(old):
    path = old.path("winnow.sqlite")
    before = [rows(path, f"SELECT {COLUMNS} FROM jobs ORDER BY position"), rows(path, "SELECT * FROM events")]
    jobs = Jobs(old)
    after = [rows(path, f"SELECT {COLUMNS} FROM jobs ORDER BY position"), rows(path, "SELECT * FROM events")]
    assert before == after and len(before[0]) == 5
    assert rows(path, "PRAGMA user_version") == [(2,)]
    assert jobs.slots == 3 and jobs.setting("grace", "") == "12"
    states = ["failed", "running", "queued", "cancelled", "queued"]
    assert [job.state for job in jobs.list()[::-1]] == states


def test_a_schema_1_queue_goes_on_in_its_order(old):
    jobs = Jobs(old)
    first, second = (job.id for job in jobs.list("queued")[::-1])
    assert jobs.get(first).place == 1 and jobs.get(second).place == 2
    assert jobs.reorder(second, "first").place == 1
    assert jobs.claim().id == second and jobs.claim().id == first


def test_a_job_begun_before_there_were_lanes_may_hold_the_cpu_and_the_first_gpu(old):
    jobs = Jobs(old)
    jobs.set_slots(1)
    assert jobs.claim() is None
    assert jobs.claim(("cuda:0",)) is None
    assert jobs.claim(("cuda:0", "cuda:1")).device == "cuda:1"


def _open(root):
    Jobs(Workspace.open(root, None))


def test_two_processes_bring_an_old_file_up_at_once(old):
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_open, args=(old.root,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert len(Jobs(old).list()) == 5


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    ws = Workspace.open(tmp_path, None)
    path = Jobs(ws).path
    rows(path, "PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer Winnow"):
        Jobs(ws)


def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    ws = Workspace.open(tmp_path, None)
    (tmp_path / "winnow.sqlite").write_text(
        "this is not a database, though it is long enough to be read as one"
    )
    with pytest.raises(StorageError, match="cannot be used"):
        Jobs(ws)
