"""The supervisor: one per workspace, gone when idle, and what it finds after it was itself killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from core.jobs import ensure_supervisor, stop_supervisor, supervisor_pid
from tests.core.jobs.helpers import WAIT_S, processes_of, started, until

ROOT = Path(__file__).parents[3]


def test_a_queued_job_is_cancelled_at_once_and_an_ended_one_stays(jobs):
    job_id = jobs.submit("add", {}, "never", start=False)
    assert jobs.cancel(job_id).state == "cancelled"
    assert jobs.cancel(job_id).state == "cancelled"
    ensure_supervisor(jobs.ws)
    time.sleep(0.6)
    assert jobs.get(job_id).attempt == 0


def test_a_new_supervisor_adopts_what_runs(jobs, ws):
    job_id = started(jobs, "patient")
    first = supervisor_pid(ws)
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor_pid(ws) is None)
    assert psutil.pid_exists(jobs.get(job_id).pid)
    assert ensure_supervisor(ws) != first
    (jobs.folder(job_id) / "go").touch()
    job = jobs.wait(job_id, WAIT_S)
    assert (job.state, job.attempt, job.result) == ("succeeded", 1, {"went": True})


def test_an_adopted_job_can_be_cancelled_by_force(jobs, ws):
    job_id = started(jobs, "stubborn")
    until(lambda: (jobs.folder(job_id) / "deaf").exists())
    stop_supervisor(ws)
    ensure_supervisor(ws)
    jobs.cancel(job_id, now=True)
    assert jobs.wait(job_id, WAIT_S).state == "cancelled"
    until(lambda: len(processes_of(ws)) == 1, timeout=10)


def test_what_ended_while_nobody_watched_is_told_apart(jobs, ws):
    jobs.set_slots(2)
    done, dead = started(jobs, "patient"), started(jobs, "patient")
    assert stop_supervisor(ws)
    (jobs.folder(done) / "go").touch()
    os.kill(jobs.get(dead).pid, signal.SIGKILL)
    until(lambda: (jobs.folder(done) / "outcome.json").exists())
    until(lambda: len(processes_of(ws)) == 0)
    ensure_supervisor(ws)
    assert jobs.wait(done, WAIT_S).state == "succeeded"
    lost = jobs.wait(dead, WAIT_S)
    assert lost.state == "lost" and "is gone" in lost.error


def test_a_recycled_pid_is_not_taken_for_the_worker(jobs, ws):
    job_id = jobs.submit("patient", {}, "old", start=False)
    jobs.claim()
    jobs.move(job_id, "starting", "running")
    jobs.remember(job_id, os.getpid(), psutil.Process().create_time() - 3600)
    ensure_supervisor(ws)
    assert jobs.wait(job_id, WAIT_S).state == "lost"
    assert psutil.pid_exists(os.getpid())


def test_a_job_whose_start_was_interrupted_is_started_again(jobs, ws):
    job_id = jobs.submit("add", {"a": 1, "b": 1}, "sum", start=False)
    jobs.claim()  # and the supervisor dies before it has a process
    ensure_supervisor(ws)
    job = jobs.wait(job_id, WAIT_S)
    assert (job.state, job.attempt) == ("succeeded", 2)


def test_callers_at_the_same_moment_get_one_supervisor(ws):
    found = []
    callers = [threading.Thread(target=lambda: found.append(ensure_supervisor(ws))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 3 and len(set(found)) == 1
    until(lambda: [p.pid for p in processes_of(ws)] == found[:1])


def test_an_idle_supervisor_leaves_and_the_next_job_brings_a_new_one(jobs, ws):
    command = [sys.executable, "-m", "core.jobs.supervisor", "--workspace", str(ws.root)]
    done = subprocess.run([*command, "--idle", "0.3", "--slots", "2"], cwd=ROOT, timeout=WAIT_S, check=False)
    assert done.returncode == 0 and supervisor_pid(ws) is None and jobs.slots == 2
    assert jobs.wait(jobs.submit("add", {"a": 0, "b": 1}, "sum"), WAIT_S).state == "succeeded"
