"""`job ...`: what the pages started, listed, ordered, asked, resumed and limited from a terminal."""

import json

import pytest

from core.jobs import Jobs
from core.workspace import Workspace


@pytest.fixture
def jobs(tmp_path):
    return Jobs(Workspace.open(tmp_path / "ws", None))


def put(jobs, **spec):
    return jobs.submit("repair", spec, f"on {spec}", start=False)


def test_the_list_tells_the_place_in_the_queue_and_the_device(jobs, command_line):
    runs, first, second = put(jobs), put(jobs, device="cuda:1"), put(jobs, device="cpu")
    jobs.claim()
    jobs.move(runs, "starting", "running")
    code, out, _ = command_line(jobs.ws)("job", "list")
    newest, older, oldest = out.splitlines()
    assert code == 0
    assert newest.split()[:4] == [second, "queued", "2", "(cpu)"]
    assert older.split()[:4] == [first, "queued", "1", "(cuda:1)"]
    assert oldest.split()[:3] == [runs, "running", "cpu"]
    told = json.loads(command_line(jobs.ws)("job", "list", "--json")[1])
    assert [(job["place"], job["device"]) for job in told] == [(2, ""), (1, ""), (None, "cpu")]


def test_a_waiting_job_is_moved_and_a_wrong_place_is_one_sentence(jobs, command_line):
    first, second = put(jobs), put(jobs)
    run = command_line(jobs.ws)
    assert run("job", "move", second, "first")[:2] == (0, f"{second} is number 1 in the queue\n")
    assert jobs.get(first).place == 2
    code, _, err = run("job", "move", second, "sideways")
    assert code == 2 and "it can go first, up, down, last" in err and len(err.splitlines()) == 1
    code, _, err = run("job", "move", "nobody", "up")
    assert code == 2 and "no job 'nobody'" in err


def test_a_running_job_is_asked_and_an_ended_one_is_not(jobs, command_line):
    job_id, run = put(jobs), command_line(jobs.ws)
    jobs.claim()
    jobs.move(job_id, "starting", "running")
    assert run("job", "ask", job_id, "save")[0] == 0 and (jobs.folder(job_id) / "save-now").exists()
    assert run("job", "ask", job_id, "dance")[0] == 2
    jobs.end(job_id, "lost", "gone")
    code, _, err = run("job", "ask", job_id, "evaluate")
    assert code == 2 and "is lost; only a running job can evaluate" in err


def test_an_ended_job_is_queued_again(jobs, command_line, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: 0)  # nothing is to run here
    job_id, run = put(jobs, seed=3), command_line(jobs.ws)
    assert run("job", "resume", job_id)[0] == 2
    assert run("job", "stop", job_id)[0] == 0
    code, out, _ = run("job", "resume", job_id)
    new = out.split()[-1]
    assert code == 0 and new != job_id and jobs.get(new).spec == {"seed": 3} and jobs.get(new).place == 1


def test_slots_are_shown_and_set(jobs, command_line):
    run = command_line(jobs.ws)
    assert run("job", "slots")[1] == "at once: 1 on the CPU, 1 on each GPU\n"
    assert run("job", "slots", "3", "--gpu", "2")[1] == "at once: 3 on the CPU, 2 on each GPU\n"
    assert (jobs.slots, jobs.gpu_slots) == (3, 2)
    code, _, err = run("job", "slots", "0")
    assert code == 2 and "at least 1" in err
