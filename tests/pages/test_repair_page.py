"""The Repair page: a choice means a thing, not a place in a list that changes while work goes on."""

import pytest

from core import pipeline
from core.jobs import Jobs
from core.repair import METHODS
from core.values import Budget, Recipe


@pytest.fixture
def two(own):
    """A workspace with two stored selections, the older one for sft; their keys, oldest first."""
    keys = []
    for method, rows in (("sft", 6), ("dpo", 4)):
        recipe = Recipe(pool="small", strategy="uniform", budget=Budget(rows=rows), method=method)
        keys.append(pipeline.save_selection(own, pipeline.choose(own, recipe, make=True)))
    return own, keys


@pytest.fixture
def own(small, tmp_path, monkeypatch):
    import shutil

    from core.workspace import Workspace

    monkeypatch.setattr(Jobs, "submit", lambda *args, **more: "job")  # nothing is to run here
    shutil.copytree(small.root, tmp_path / "own")
    return Workspace.open(tmp_path / "own", None)


def test_the_chosen_rows_stay_chosen_when_the_list_of_selections_changes(two, opened):
    ws, (older, _) = two
    at = opened("repair", ws)
    assert not at.exception
    at.selectbox(key="repair.0.rows").set_value(older).run()
    at.button(key="repair.start").click().run()  # stores the older one again: it is the newest file now
    assert not at.exception
    assert at.selectbox(key="repair.0.rows").value == older
    assert at.selectbox(key=f"repair.0.method.{older}").value == "sft"


def test_a_learning_rate_is_a_box_that_shows_it_and_no_slider_at_zero(two, opened):
    at = opened("repair", two[0])
    lr = next(box for box in at.number_input if box.label == "lr")
    method = next(box for box in at.selectbox if box.label == "Method").value
    assert lr.value == METHODS[method].params().lr
    assert not [slider for slider in at.slider if slider.label == "lr"]


def test_a_method_that_penalises_tokens_asks_for_their_mask_before_it_starts(two, opened):
    ws, (_, newer) = two
    at = opened("repair", ws)
    at.selectbox(key=f"repair.0.method.{newer}").set_value("token_penalty").run()
    assert at.button(key="repair.start").disabled
    at.text_input(key="repair.0.mask").set_value("abc").run()
    assert not at.exception and not at.button(key="repair.start").disabled


def page(ws_root, run_id):
    from core import pipeline
    from core.workspace import Workspace
    from ui import run_views

    ws = Workspace.open(ws_root, None)
    run = pipeline.find_run(ws, run_id)
    if run is not None:
        run_views._removal(ws, run, kept=False)


def test_a_run_that_something_depends_on_is_deleted_only_after_that_was_read(own, monkeypatch):
    from streamlit.testing.v1 import AppTest

    run = pipeline.runs(own)[0]
    monkeypatch.setattr("core.pipeline.deletion.dependents", lambda ws, run_id: ["study 'big' has it"])
    at = AppTest.from_function(page, args=(str(own.root), run.id)).run()
    assert not at.warning, "nothing is looked up before it is asked for"
    at.button(key=f"run.{run.id}.delete").click().run()
    assert "study 'big' has it" in at.warning[0].value.replace("\\", "")
    assert pipeline.find_run(own, run.id) is not None
    at.button(key=f"run.{run.id}.delete").click().run()
    assert pipeline.find_run(own, run.id) is None and not at.exception
