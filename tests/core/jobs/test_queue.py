"""The queue: places, lanes, several processes at once, and asking and resuming."""

import multiprocessing
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadInput, UnknownName
from core.jobs import Jobs
from core.jobs.engines.local import LocalEngine
from core.jobs.lanes import WHERE, reordered
from core.jobs.supervisor import Supervisor
from core.workspace import Workspace
from tests.core.jobs.helpers import WAIT_S, started, until

GPUS = ("cuda:0", "cuda:1")


def waiting(jobs):
    return [job.id for job in sorted(jobs.list("queued"), key=lambda job: job.place)]


def put(jobs, *devices):
    specs = [{"n": n} | ({"device": d} if d else {}) for n, d in enumerate(devices)]
    return [jobs.submit("where", spec, f"on {spec}", start=False) for spec in specs]


def test_a_waiting_job_has_a_place_and_a_claimed_one_has_none(jobs):
    first, second = put(jobs, "cpu", "cpu")
    assert [jobs.get(first).place, jobs.get(second).place] == [1, 2]
    claimed = jobs.claim()
    assert (claimed.id, claimed.place, claimed.device) == (first, None, "cpu")
    assert jobs.get(second).place == 1 and jobs.get(second).device == ""
    jobs.end(first, "failed", "no")


def test_a_job_for_the_cpu_never_waits_behind_jobs_for_gpus(jobs):
    *gpu, cpu = put(jobs, "", "auto", "cuda:0", "cpu")
    taken = [jobs.claim(GPUS) for _ in range(3)]
    assert [(job.id, job.device) for job in taken] == [(gpu[0], "cuda:0"), (gpu[1], "cuda:1"), (cpu, "cpu")]
    assert jobs.claim(GPUS) is None and waiting(jobs) == [gpu[2]]
    jobs.end(gpu[1], "succeeded", "")
    assert jobs.claim(GPUS) is None  # cuda:1 is free, but the job wants cuda:0
    jobs.end(gpu[0], "lost", "gone")
    assert jobs.claim(GPUS).id == gpu[2]
    for job_id in (gpu[2], cpu):
        jobs.end(job_id, "cancelled", "")


def test_without_gpus_all_jobs_take_turns_on_the_cpu(jobs):
    ids = put(jobs, "auto", "cuda", "cpu")
    jobs.set_slots(2)
    assert [jobs.claim().id, jobs.claim().id] == ids[:2] and jobs.claim() is None
    jobs.set_gpu_slots(3)
    assert jobs.gpu_slots == 3 and jobs.claim() is None
    for job_id in ids[:2]:
        jobs.end(job_id, "cancelled", "")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(WHERE)), max_size=6))
def test_moving_waiting_jobs_gives_the_order_that_moving_names_gives(jobs, moves):
    for job in jobs.list("queued"):
        jobs.cancel(job.id)
    running = put(jobs, "cpu")[0]
    jobs.claim()
    ids = put(jobs, *["cpu"] * 6)
    for which, where in moves:
        expected = reordered(waiting(jobs), ids[which], where)
        assert jobs.reorder(ids[which], where).place == expected.index(ids[which]) + 1
        assert waiting(jobs) == expected
    jobs.end(running, "succeeded", "")
    assert jobs.claim().id == expected[0] if moves else jobs.claim().id == ids[0]
    for job in jobs.list("starting"):
        jobs.end(job.id, "cancelled", "")


def test_only_waiting_jobs_can_be_moved(jobs):
    job_id = put(jobs, "cpu")[0]
    jobs.claim()
    with pytest.raises(BadInput, match="is starting; only waiting jobs"):
        jobs.reorder(job_id, "first")
    with pytest.raises(UnknownName):
        jobs.reorder("nobody", "first")
    jobs.end(job_id, "cancelled", "")


def _move_many(barrier, root, seed):
    jobs = Jobs(Workspace.open(root, None))
    ids = sorted(job.id for job in jobs.list("queued"))
    barrier.wait(WAIT_S)
    for n in range(60):
        jobs.reorder(ids[(seed + 7 * n) % len(ids)], WHERE[(n + seed) % len(WHERE)])


def test_a_move_sees_the_queue_as_another_process_leaves_it(jobs):
    """Looking before the lock is held would undo what the other one does meanwhile."""
    first, second, third = put(jobs, "cpu", "cpu", "cpu")
    mover = threading.Thread(target=jobs.reorder, args=(third, "up"))
    with closing(sqlite3.connect(jobs.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        mover.start()
        time.sleep(0.5)
        db.execute("UPDATE jobs SET turn = 3 - turn WHERE turn < 3")  # the first two change places
        db.execute("COMMIT")
    mover.join()
    assert waiting(jobs) == [second, third, first]


def _claim_many(barrier, root, name):
    jobs = Jobs(Workspace.open(root, None))
    mine = Workspace.open(root, None).path(f"claimed-{name}")
    barrier.wait(WAIT_S)
    end = time.monotonic() + WAIT_S
    while jobs.list("queued", "starting") and time.monotonic() < end:
        if (job := jobs.claim(GPUS)) is not None:
            with mine.open("a") as file:
                file.write(f"{job.id} {job.device}\n")
            busy = Counter(j.device for j in jobs.list("starting"))
            assert all(count <= 1 for count in busy.values()), busy
            jobs.end(job.id, "succeeded", "")


def together(target, root, *arguments):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(len(arguments))  # so that they really are at it together
    both = [spawn.Process(target=target, args=(barrier, root, a)) for a in arguments]
    for process in both:
        process.start()
    for process in both:
        process.join(WAIT_S)
    assert [process.exitcode for process in both] == [0] * len(both)


def test_two_processes_that_move_jobs_at_once_leave_a_whole_queue(jobs, ws):
    ids = put(jobs, *["cpu"] * 7)
    together(_move_many, ws.root, 0, 3)
    assert sorted(waiting(jobs)) == sorted(ids)
    assert sorted(job.place for job in jobs.list("queued")) == list(range(1, 8))
    with closing(sqlite3.connect(jobs.path)) as db:
        assert len(db.execute("SELECT DISTINCT turn FROM jobs").fetchall()) == 7


def test_two_supervisors_that_race_take_each_job_once_and_never_share_a_lane(jobs, ws):
    ids = put(jobs, *["auto", "cpu", "cuda:1"] * 5)
    together(_claim_many, ws.root, "one", "two")
    files = [ws.path(f"claimed-{name}") for name in ("one", "two")]
    taken = [line.split() for file in files if file.exists() for line in file.read_text().splitlines()]
    assert sorted(job_id for job_id, _ in taken) == sorted(ids)
    assert {device for _, device in taken} == {"cpu", *GPUS}


def test_workers_see_the_device_of_their_lane_and_no_lane_waits_for_another(jobs, ws):
    gpus = {"cuda:0": "GPU-aa", "cuda:1": "GPU-bb"}
    supervisor = Supervisor(jobs, LocalEngine(ws, gpus), tuple(gpus))
    holds = jobs.submit("patient", {"device": "cuda:1"}, "holds a GPU", start=False)
    second, first, cpu = put(jobs, "cuda:1", "auto", "cpu")
    until(lambda: supervisor.step() and all(jobs.get(j).state == "succeeded" for j in (first, cpu)))
    assert jobs.get(holds).state == "running" and jobs.get(second).state == "queued"
    assert jobs.get(first).result == {"device": "auto", "lane": "cuda:0", "sees": "GPU-aa"}
    assert jobs.get(cpu).result == {"device": "cpu", "lane": "cpu", "sees": ""}
    (jobs.folder(holds) / "go").touch()
    until(lambda: supervisor.step() or jobs.get(second).state == "succeeded")
    until(lambda: not supervisor.step())
    assert jobs.get(second).result == {"device": "cuda", "lane": "cuda:1", "sees": "GPU-bb"}


def test_a_job_that_fails_to_start_or_dies_does_not_stop_the_rest(shared):
    ids = [shared.submit(kind, {"a": 1, "b": 1}, kind) for kind in ("crash", "leave", "refuse", "add")]
    states = [shared.wait(job_id, WAIT_S).state for job_id in ids]
    assert states == ["failed", "failed", "failed", "succeeded"]


def test_a_running_job_hears_once_what_it_is_asked(shared):
    job_id = started(shared, "listens")
    for what in ("save", "evaluate"):
        shared.ask(job_id, what)
        until(lambda w=what: (shared.folder(job_id) / f"heard-{w}").exists())
    with pytest.raises(BadInput, match="evaluate or save"):
        shared.ask(job_id, "dance")
    shared.cancel(job_id)
    job = shared.wait(job_id, WAIT_S)
    assert job.result == {"heard": ["save", "evaluate"]}
    with pytest.raises(BadInput, match="only a running job can save"):
        shared.ask(job_id, "save")


def test_an_ended_job_can_be_queued_again_once_and_a_running_one_cannot(shared):
    job_id = shared.submit("refuse", {"device": "cpu", "a": 1}, "again")
    shared.wait(job_id, WAIT_S)
    holder = started(shared, "patient")
    again = shared.resubmit(job_id)
    assert again != job_id and shared.resubmit(job_id) == again
    new, old = shared.get(again), shared.get(job_id)
    assert (new.kind, new.spec, new.title, new.state) == (old.kind, old.spec, old.title, "queued")
    with pytest.raises(BadInput, match="only an ended job"):
        shared.resubmit(holder)
    shared.cancel(again)
    shared.cancel(holder, now=True)
    shared.wait(holder, WAIT_S)
