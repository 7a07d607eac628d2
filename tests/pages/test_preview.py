"""The Map page while its texts are still being embedded."""

import numpy as np

from core import pipeline
from core.jobs import Jobs
from core.pipeline.preview import FILE
from core.pool import load_pool


def scratch(ws, pool):
    request = pipeline.request_for("vectors:embedding", pool.name)
    return ws.signals.scratch(pipeline.key_of(ws, request, pool))


def imported(empty, opened, tmp_path):
    source = tmp_path / "mine.csv"
    source.write_text("prompt,response\n" + "".join(f"question {i},answer {i}\n" for i in range(40)))
    at = opened("pool", empty)
    at.text_input(key="import.path").set_value(str(source)).run()
    at.button(key="import.go").click().run()
    return load_pool(empty, "mine")


def words(at):
    return [m.value for m in at.markdown if "Preview" in m.value]


def test_rows_placed_so_far_are_shown_while_the_job_runs_and_not_otherwise(
    empty, opened, tmp_path, monkeypatch
):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: None)
    pool = imported(empty, opened, tmp_path)
    xy = np.full((len(pool), 2), np.nan, np.float32)
    xy[:25] = np.random.default_rng(0).normal(size=(25, 2))
    np.save(scratch(empty, pool) / FILE, xy)
    assert not words(opened("map", empty)), "no job runs"
    request = pipeline.request_for("vectors:map", pool.name)
    Jobs(empty).submit("signal", request, pipeline.words(request), once=True)
    at = opened("map", empty)
    assert not at.exception
    assert words(at) == ["Preview: 25 of 40 rows placed"]
    xy[:] = 1.0
    np.save(scratch(empty, pool) / FILE, xy)
    assert words(at.run()) == ["Preview: 40 of 40 rows placed"]


def test_a_job_that_has_placed_nothing_yet_shows_its_progress_alone(empty, opened, tmp_path, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: None)
    pool = imported(empty, opened, tmp_path)
    request = pipeline.request_for("vectors:map", pool.name)
    Jobs(empty).submit("signal", request, pipeline.words(request), once=True)
    at = opened("map", empty)
    assert not at.exception and not words(at)
