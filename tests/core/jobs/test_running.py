"""Jobs in real processes: how they end, how they are stopped, and that nothing is left of them."""

import os
import signal
import time

import pytest

from core.jobs import read_metrics, tail_log
from tests.core.jobs.helpers import WAIT_S, processes_of, started, until


def test_a_job_that_succeeds_leaves_its_result_metrics_progress_and_log(shared):
    job = shared.wait(shared.submit("add", {"a": 2, "b": 3}, "two and three"), WAIT_S)
    assert (job.state, job.error) == ("succeeded", "")
    assert job.result == {"sum": 5, "policy": "PASSIVE"}
    assert (job.progress.done, job.progress.total, job.progress.share) == (5, 5, 1.0)
    rows, _ = read_metrics(job.folder)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5] and rows[0]["loss"] is None
    assert "the sum is 5" in tail_log(job.folder)[0]
    assert job.created <= job.started <= job.ended and job.attempt == 1 and not job.silent


@pytest.mark.parametrize(
    ("kind", "error", "logged"),
    [
        ("refuse", "this pool has no column `rejected`; map one", "failed: this pool"),
        ("crash", "KeyError: 'nothing'", "Traceback"),
        ("leave", "exit status 3", ""),
        ("unheard_of", "no task is named 'unheard_of'", "there are add, crash"),
    ],
)
def test_a_job_that_fails_says_why(shared, kind, error, logged):
    job = shared.wait(shared.submit(kind, {}, kind), WAIT_S)
    assert job.state == "failed"
    assert error in job.error and "Traceback" not in job.error
    assert logged in tail_log(job.folder)[0]


def test_jobs_run_one_after_another_and_a_cancelled_one_makes_room(shared):
    first = started(shared, "patient")
    second = shared.submit("add", {"a": 1, "b": 1}, "next")
    assert shared.cancel(first).state == "cancelling"
    stopped, after = shared.wait(first, WAIT_S), shared.wait(second, WAIT_S)
    assert stopped.state == "cancelled" and "stopped on request" in stopped.error
    assert after.state == "succeeded" and stopped.ended <= after.started


def test_work_that_ends_cleanly_when_asked_keeps_its_result(shared):
    job_id = started(shared, "keeps_the_best")
    shared.cancel(job_id)
    job = shared.wait(job_id, WAIT_S)
    assert (job.state, job.result) == ("succeeded", {"kept": "best"})


def test_a_stubborn_job_is_killed_with_its_children(shared):
    job_id = started(shared, "stubborn")
    until(lambda: (shared.folder(job_id) / "deaf").exists())
    assert len(processes_of(shared.ws)) == 3  # supervisor, worker, the worker's child
    shared.set_setting("grace", "0.4")
    shared.cancel(job_id)
    job = shared.wait(job_id, WAIT_S)
    shared.set_setting("grace", "30")
    assert job.state == "cancelled" and "by force" in job.error
    until(lambda: len(processes_of(shared.ws)) == 1, timeout=10)


def test_a_killed_worker_is_lost_and_its_children_go_too(shared):
    job_id = started(shared, "stubborn")
    until(lambda: (shared.folder(job_id) / "deaf").exists())
    os.kill(shared.get(job_id).pid, signal.SIGKILL)
    job = shared.wait(job_id, WAIT_S)
    assert job.state == "lost" and "signal 9" in job.error
    until(lambda: len(processes_of(shared.ws)) == 1, timeout=10)


def test_a_silent_worker_is_shown_as_not_responding(shared):
    job_id = started(shared, "patient")
    os.kill(shared.get(job_id).pid, signal.SIGSTOP)
    heartbeat = shared.folder(job_id) / "heartbeat"
    assert not shared.get(job_id).silent
    os.utime(heartbeat, (time.time() - 60, time.time() - 60))
    job = shared.get(job_id)
    assert job.silent and job.state == "running"
    os.kill(job.pid, signal.SIGCONT)
    until(lambda: not shared.get(job_id).silent)
    shared.cancel(job_id, now=True)
    assert shared.wait(job_id, WAIT_S).state == "cancelled"
