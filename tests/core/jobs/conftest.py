"""A workspace whose jobs are quick ones; after each test nothing of it may still run."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from core.jobs import ACTIVE, ENDED, Jobs, stop_supervisor, supervisor_pid
from core.workspace import Workspace
from tests.core.jobs.helpers import WAIT_S, processes_of, until


@contextmanager
def _quick_workspace(root):
    """A new workspace whose supervisor knows the quick tasks; everything of it has ended afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_TASKS", "quick_tasks:TASKS")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")  # one lane, whatever machine this is
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        ws = Workspace.open(root, None)
        yield ws
        if (ws.root / "winnow.sqlite").exists():
            _end_all(ws)


def _end_all(ws):
    jobs = Jobs(ws)
    for job in jobs.list(*ACTIVE):
        jobs.cancel(job.id, now=True)
    for job in jobs.list(*ACTIVE):
        if supervisor_pid(ws):
            assert jobs.wait(job.id, WAIT_S).state in ENDED, "a job would not end"
    stop_supervisor(ws)
    until(lambda: not processes_of(ws), timeout=10)


def _quick_jobs(ws):
    jobs = Jobs(ws)
    jobs.set_setting("kill_after", "0.4")
    return jobs


@pytest.fixture
def ws(tmp_path):
    with _quick_workspace(tmp_path / "ws") as ws:
        yield ws


@pytest.fixture
def jobs(ws):
    return _quick_jobs(ws)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Jobs under one supervisor for all tests of a file: starting one costs a second."""
    with _quick_workspace(tmp_path_factory.mktemp("shared") / "ws") as ws:
        yield _quick_jobs(ws)
