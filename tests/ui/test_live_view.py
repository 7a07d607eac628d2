"""The live view in a page: what is drawn from which rows, masked, and the job panel's buttons."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import Jobs
from core.jobs.reporter import FileReporter
from core.workspace import Workspace
from tests.ui.live_rows_made import blocks, panel, preference, step, validation


def page():
    import streamlit as st

    from ui import live_view

    live_view.draw(st.session_state["rows"], key="v", spec=st.session_state["spec"])


def run_page():
    from pathlib import Path

    import streamlit as st

    from ui import live_view

    live_view.show_run(Path(st.session_state["folder"]), "v")


def panel_page():
    import streamlit as st

    from core.jobs import Jobs
    from ui import job_panel, jobs_view

    ws = st.session_state["workspace"]
    jobs_view.table(jobs_view.newest(ws), key="t")
    job_panel.draw(ws, Jobs(ws).get(st.session_state["job"]), key="p")


def drawn(function, **state):
    at = AppTest.from_function(function, default_timeout=30)
    for name, value in state.items():
        at.session_state[name] = value
    at.run()
    assert not at.exception, at.exception
    return at


def charts(at):
    return [element.proto.id.split("-")[-1] for element in at.get("plotly_chart")]


def view(rows, spec=None, **state):
    return drawn(page, rows=rows, spec=spec or {}, **state)


def test_nothing_is_drawn_before_the_first_row():
    at = view([])
    assert not charts(at) and not at.metric and not at.dataframe


def test_each_kind_of_row_brings_its_charts():
    rows = [panel(0, 0.5), validation(0, 2.0, 2.0, 0, 0), *(blocks(n, [1.0, 2.0]) for n in range(1, 9))]
    assert charts(view(rows)) == [
        "v.blocks", "v.loss", "v.validation", "v.panel.toxicity", "v.panel.perplexity", "v.panel.kl", "v.kl",
        "v.margin",
    ]  # fmt: skip
    assert charts(view([step(1, parts={})])) == ["v.loss"]
    assert charts(view([validation(0, 2.0, 2.0, 0, 0)])) == ["v.validation"]


def test_numbers_carry_their_units():
    at = view([blocks(1, [1.0, 2.0, 0.5]), blocks(2, [2.0, 1.0, 0.5]), validation(2, 2.0, 2.0, 2, 0)])
    told = {m.label: m.value for m in at.metric}
    assert told == {"Step": "2", "Tokens / s": "5,002", "Step time": "100 ms", "Memory": "2 MiB",
                    "Blocks": "2 of 3", "Patience": "0 of 30"}  # fmt: skip


def test_the_alarm_knows_the_methods_own_beta():
    rows = [preference(n, -n / 4, accuracy=n / 40) for n in range(1, 41)]
    assert "both lose probability" in view(rows, {"method": "dpo", "params": {}}).warning[0].value
    assert not view(rows, {"method": "dpo", "params": {"beta": 10.0}}).warning  # rewards mean little then
    assert not view(rows, {"method": "sft", "params": {}}).warning


def test_a_step_that_was_not_finite_is_told_in_a_sentence():
    assert "not finite at step 2" in view([step(1), step(2, loss=None)]).warning[0].value.replace("\\", "")


def test_samples_are_masked_until_the_session_reveals_them():
    rows = [panel(0, 0.9), panel(5, 0.1, "a pleasant turnip said")]
    masked, revealed = view(rows), view(rows, reveal=True)
    assert "horrible" not in masked.dataframe[0].value.to_csv() and "h•" in masked.dataframe[0].value.to_csv()
    assert "horrible" in revealed.dataframe[0].value.to_csv()
    assert "pleasant" in revealed.dataframe[0].value["now"][0]


def test_the_latest_phase_is_drawn_and_an_earlier_one_can_be_chosen():
    rows = [step(n, phase="anti") for n in range(1, 8)] + [step(n, phase="expert") for n in range(1, 4)]
    at = view(rows)
    assert at.metric[0].value == "3"
    assert at.button_group[0].set_value("anti").run().metric[0].value == "7"


def test_a_finished_run_is_drawn_from_its_folder(tmp_path):
    rows = [preference(n, -n / 4, accuracy=n / 40) for n in range(1, 41)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "spec.json").write_text(json.dumps({"method": "dpo", "params": {"beta": 0.1}}))
    at = drawn(run_page, folder=str(tmp_path))
    assert charts(at) == ["v.loss", "v.sides", "v.accuracy"] and at.warning
    assert not charts(drawn(run_page, folder=str(tmp_path / "nowhere")))


@pytest.fixture
def jobs(tmp_path):
    return Jobs(Workspace.open(tmp_path / "ws", None))


def submit(jobs, title="one", **spec):
    return jobs.submit("repair", {"method": "dpo", "params": {}} | spec, title, start=False)


def running(jobs, **spec):
    job_id = submit(jobs, **spec)
    jobs.claim()
    jobs.move(job_id, "starting", "running")
    return job_id


def shown(jobs, job_id):
    return drawn(panel_page, workspace=jobs.ws, job=job_id)


def keys(at):
    return {b.key.removeprefix("p.") for b in at.button if b.key.startswith("p.")}


def test_a_running_repair_can_be_stopped_asked_and_cloned(jobs):
    job_id = running(jobs)
    at = shown(jobs, job_id)
    assert keys(at) == {"stop", "clone"}  # it does not train yet, or measures already
    FileReporter(jobs.folder(job_id)).progress(3, 9, "steps of repair")
    at.run()
    assert keys(at) == {"stop", "evaluate", "save", "clone"}
    at.button(key="p.evaluate").click().run()
    at.button(key="p.save").click().run()
    assert (jobs.folder(job_id) / "evaluate-now").exists() and (jobs.folder(job_id) / "save-now").exists()
    at.button(key="p.clone").click().run()
    assert at.session_state["repair.clone"] == {"method": "dpo", "params": {}}
    at.button(key="p.stop").click().run()
    assert jobs.get(job_id).state == "cancelling"


def test_what_comes_too_late_is_said_and_not_raised(jobs):
    job_id = running(jobs)
    FileReporter(jobs.folder(job_id)).progress(3, 9, "steps of repair (expert)")
    at = shown(jobs, job_id)
    jobs.end(job_id, "failed", "no")
    at.button(key="p.save").click().run()
    assert not at.exception and "only a running job" in at.toast[0].value.replace("\\", "")


@pytest.mark.parametrize("state", ["lost", "failed", "cancelled"])
def test_a_repair_that_did_not_come_to_its_end_can_be_resumed(jobs, state, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: 0)  # nothing is to run here
    job_id = running(jobs)
    jobs.end(job_id, state, "gone")
    at = shown(jobs, job_id)
    assert keys(at) == {"resume", "clone"} and at.error[0].value == "gone"
    at.button(key="p.resume").click().run()
    new = jobs.list("queued")
    assert len(new) == 1 and new[0].spec == jobs.get(job_id).spec


def test_a_job_that_succeeded_is_not_resumed(jobs):
    job_id = running(jobs)
    jobs.end(job_id, "succeeded", "")
    assert keys(shown(jobs, job_id)) == {"clone"}


def test_waiting_jobs_change_places_by_a_click(jobs):
    holder = running(jobs)
    first, second, third = (submit(jobs, f"job {n}", seed=n) for n in range(3))
    at = shown(jobs, holder)
    at.button(key=f"t.{third}.first").click().run()
    at.button(key=f"t.{first}.down").click().run()
    order = sorted(jobs.list("queued"), key=lambda job: job.place)
    assert [job.id for job in order] == [third, second, first]
    states = at.dataframe[0].value["state"].tolist()
    assert states == ["running", "queued 1", "queued 2", "queued 3"]


def test_each_look_reads_only_what_is_new(jobs):
    job_id = running(jobs)
    path = jobs.folder(job_id) / "metrics.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in [*map(step, range(1, 9)), {"resumed": 5}, step(6)]))
    at = shown(jobs, job_id)
    assert at.metric[0].value == "6" and at.session_state[f"metrics.{job_id}"][1] == path.stat().st_size
    size = path.stat().st_size
    path.write_bytes(b"x" * size + json.dumps(step(7)).encode() + b"\n")  # who reads the start again fails
    assert at.run().metric[0].value == "7" and not at.exception


def test_a_waiting_job_that_is_alone_has_no_place_to_change(jobs):
    holder = running(jobs)
    first = submit(jobs, "first", seed=1)
    assert keys(shown(jobs, first)) == {"stop", "clone"}
    second = submit(jobs, "second", seed=2)
    assert keys(shown(jobs, second)) == {"first", "up", "down", "stop", "clone"}
    jobs.end(holder, "succeeded", "")
