"""The table: order, settings, and two processes at once."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from core.errors import BadInput, UnknownName
from core.jobs import Jobs
from core.values import Budget
from core.workspace import Workspace


def test_the_newest_job_comes_first_and_the_oldest_is_claimed_first(jobs):
    ids = [jobs.submit("add", {"a": n}, f"job {n}", start=False) for n in range(3)]
    assert [job.id for job in jobs.list()] == ids[::-1]
    assert jobs.claim().id == ids[0]
    assert [job.id for job in jobs.list("queued")] == ids[:0:-1]
    jobs.end(ids[0], "lost", "gone")


def test_a_pydantic_spec_is_kept_as_json(jobs):
    job_id = jobs.submit("select", Budget(rows=3, percent=None), "three", start=False)
    assert jobs.get(job_id).spec == {"rows": 3, "percent": None, "tokens": None}


def test_an_equal_job_is_not_queued_twice_when_asked_so(jobs):
    first = jobs.submit("add", {"a": 1, "b": 2}, "sum", start=False)
    assert jobs.submit("add", {"b": 2, "a": 1}, "sum again", once=True, start=False) == first
    assert jobs.submit("add", {"a": 2, "b": 2}, "other", once=True, start=False) != first
    jobs.cancel(first)
    assert jobs.submit("add", {"a": 1, "b": 2}, "anew", once=True, start=False) != first


def test_an_ended_job_never_changes_again(jobs):
    job_id = jobs.submit("add", {}, "sum", start=False)
    jobs.cancel(job_id)
    jobs.end(job_id, "lost", "late news")
    assert not jobs.move(job_id, "queued", "starting")
    assert (jobs.get(job_id).state, jobs.get(job_id).error) == ("cancelled", "")


def test_every_change_of_state_is_an_event(jobs):
    job_id = jobs.submit("add", {}, "sum", start=False)
    jobs.claim()
    jobs.end(job_id, "failed", "no")
    with sqlite3.connect(jobs.path) as db:
        states = [row[0] for row in db.execute("SELECT state FROM events WHERE id = ?", (job_id,))]
    db.close()
    assert states == ["queued", "starting", "failed"]


def test_unknown_jobs_and_no_slots_are_refused(jobs):
    with pytest.raises(UnknownName, match="no job 'x'"):
        jobs.get("x")
    with pytest.raises(BadInput, match="at least 1"):
        jobs.set_slots(0)
    with pytest.raises(BadInput, match="at least 1"):
        jobs.set_gpu_slots(0)


def _submit_many(root: Path) -> None:
    jobs = Jobs(Workspace.open(root, None))
    for n in range(20):
        jobs.submit("add", {"n": n}, "one of many", start=False)


def test_two_processes_open_a_new_workspace_at_once_and_lose_nothing(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_submit_many, args=(tmp_path / "ws",)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    jobs = Jobs(Workspace.open(tmp_path / "ws", None))
    jobs.set_slots(40)
    claimed = [jobs.claim().id for _ in range(40)]
    assert len(set(claimed)) == 40 and jobs.claim() is None
