"""`study` and `against` from a terminal: written down, run by processes or the queue, reported, deleted."""

import json
import time
from dataclasses import replace

import pandas as pd
import pytest

from core import pipeline
from core.cli.studies import example_study
from core.cli.study_report import report
from core.cli.study_work import Tally, by_queue, here
from core.errors import Stopped
from core.jobs import Jobs
from core.pipeline.studies import cells, check_study, load_study, missing, save_study
from core.pool import build_pool, guess_mapping, read_table, save_pool
from core.values import RepairSpec, Silent
from core.values.study import StudySpec
from core.workspace import Workspace

PARAMS = {"lr": 3e-5, "steps": 1, "batch": 4, "warmup": 1, "validation_size": 2}
LOOK = {"name": "look", "prompts": 4, "samples": 2, "new_tokens": 8}
ASKED = {
    "name": "mine",
    "pool": "mini",
    "strategies": [{"strategy": "uniform"}],
    "budgets": [{"rows": 4}],
    "methods": [{"method": "dpo", "params": PARAMS}],
    "seeds": [0, 1],
    "full": False,
    "model": "demo",
    "scorer": "demo",
    "evaluation": {"pool": "mini", "protocol": LOOK, "scorer": "demo"},
    "device": "cpu",
}


def study(**changes):
    return StudySpec.model_validate(ASKED | changes)


def mini(folder):
    ws = Workspace.open(folder / "ws")
    source = folder / "mini.jsonl"
    rows = [
        {"id": f"m{i}", "prompt": f"Under picture {i} someone wrote:",
         "chosen": f"They helped us with bench {i}.", "rejected": f"They are dull as bench {i}."}
        for i in range(40)
    ]  # fmt: skip
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw = read_table(source)
    mapping = guess_mapping(raw)
    save_pool(ws, build_pool(raw, mapping, name="mini"), mapping, "mini.jsonl")
    return ws


@pytest.fixture
def ws(tmp_path):
    return mini(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two finished runs."""
    ws = mini(tmp_path_factory.mktemp("cli"))
    for cell in cells(ws, study()):
        pipeline.run_repair(ws, cell.spec)
    save_study(ws, study())
    return ws


def test_the_example_is_the_papers_grid_and_can_be_run():
    found = example_study()
    sizes = [len(part) for part in (found.strategies, found.budgets, found.methods, found.seeds)]
    assert sizes == [5, 4, 3, 3] and found.full
    assert StudySpec.model_validate_json(found.model_dump_json()) == found


def test_the_example_is_printed_as_json_that_the_command_takes(ws, command_line):
    run = command_line(ws)
    code, out, _ = run("study", "--print-example")
    assert code == 0
    check_study(ws, StudySpec.model_validate(json.loads(out)))


def test_a_finished_study_runs_nothing_and_writes_its_table(ran, command_line):
    code, out, _ = command_line(ran)("study", "mine")
    assert code == 0 and "2 runs, 2 done, 0 to do" in out
    assert len(pd.read_parquet(ran.path("studies", "mine", "runs.parquet"))) == 2
    assert Jobs(ran).list() == []


def test_a_study_is_run_by_processes_of_the_command_and_one_failure_does_not_stop_the_rest(
    ws, tmp_path, command_line
):
    spec = tmp_path / "spec.json"
    broken = {
        "strategy": "top",
        "params": {"score": "toxicity"},
        "recipe": {"scorer": "/nowhere"},
        "label": "broken",
    }
    spec.write_text(json.dumps(ASKED | {"strategies": [broken, {"strategy": "uniform"}], "seeds": [0]}))
    code, out, err = command_line(ws)("study", str(spec), "--here", "1")
    assert code == 2
    assert "2 runs, 0 done, 2 to do" in out
    assert "uniform, 4 rows, dpo, seed 0  done" in out and "2 of 2" in out
    assert "1 of 2 runs failed" in err and "broken, 4 rows, dpo, seed 0: " in err and "/nowhere" in err
    found = cells(ws, load_study(ws, "mine"))
    assert [c.strategy for c in missing(found)] == ["broken"]
    assert ws.path("studies", "mine", "runs.parquet").is_file()


def test_a_bad_study_is_a_sentence(ws, tmp_path, command_line):
    run = command_line(ws)
    for change, words in (
        ({"poool": "x"}, "has no field 'poool'"),
        ({"pool": "gone"}, "gone"),
        ({"seeds": []}, "seeds"),
    ):
        path = tmp_path / "bad.json"
        path.write_text(json.dumps(ASKED | change))
        code, _, err = run("study", str(path))
        assert code == 2 and words in err and "Traceback" not in err
    code, _, err = run("study", "no-such-study")
    assert code == 2 and "no-such-study" in err


def test_another_study_of_the_same_name_is_not_overwritten(ran, tmp_path, command_line):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(ASKED | {"seeds": [0]}))
    code, _, err = command_line(ran)("study", str(path))
    assert code == 2 and "--replace" in err
    assert load_study(ran, "mine") == study()


def test_list_table_and_report(ran, tmp_path, command_line):
    run = command_line(ran)
    assert run("study", "list")[1].strip() == "mine: 2 of 2 runs finished"
    for name, read in (("t.csv", pd.read_csv), ("t.parquet", pd.read_parquet)):
        out = tmp_path / name
        assert run("study", "table", "mine", "--out", out)[0] == 0
        assert read(out)["seed"].tolist() == [0, 1]
    code, _, err = run("study", "table", "mine", "--out", tmp_path / "t.txt")
    assert code == 2 and ".csv or .parquet" in err
    shown = run("study", "report", "mine")[1]
    for words in ("2 of 2 runs finished", "hypervolume", "within 5%", "n/a: no full-data run", "uniform   4"):
        assert words in shown, words
    assert "not measured: SAPS" in shown


def test_a_study_without_runs_says_so(ws, command_line):
    save_study(ws, study())
    assert "nothing to report" in report(ws, study(), cells(ws, study()))
    run = command_line(ws)
    assert "no finished runs yet" in run("study", "table", "mine")[1]
    assert "0 of 2" in run("study", "list")[1]


def test_deleting_says_what_stays_and_refuses_while_runs_wait(ws, command_line):
    save_study(ws, study())
    jobs = Jobs(ws)
    job = jobs.submit("repair", cells(ws, study())[0].spec, "mine: first", start=False)
    run = command_line(ws)
    code, _, err = run("study", "delete", "mine")
    assert code == 2 and "1 runs of study 'mine' wait" in err
    jobs.cancel(job)
    code, out, _ = run("study", "delete", "mine")
    assert code == 0 and "0 finished runs stay" in out
    assert run("study", "list")[1].startswith("no studies yet")


def test_two_models_stand_against_each_other(ran, command_line):
    first, second = (cell.run.id for cell in cells(ran, study()))
    run = command_line(ran)
    code, out, _ = run("against", "base", first)
    assert code == 0 and "toxicity_mean" in out and "verdict" in out
    found = json.loads(run("against", first, second, "--json")[1])
    assert {row["metric"] for row in found["rows"]} >= {"toxicity_mean", "emt", "tp", "perplexity:mini"}
    assert all(row["verdict"] in ("better", "worse", "not distinguishable") for row in found["rows"])
    assert run("against", "base", "nobody")[0] == 2


def test_pruning_by_name(ran, command_line):
    code, _, err = command_line(ran)("study", "prune", "mine", "--metric", "nothing")
    assert code == 2 and "has nothing" in err
    code, out, _ = command_line(ran)("study", "prune", "mine")
    assert code == 0 and "removed 0 others" in out  # this study never kept any


def test_the_time_left_follows_the_work_that_is_left(ran):
    grid = cells(ran, study())
    said = []
    tally = Tally(grid, said.append, started=time.monotonic() - 10)
    tally.end(grid[0])
    assert "about 10 s left" in said[0]  # two runs of equal work
    tally.end(grid[1], "no luck")
    assert said[1].endswith("failed: no luck") and tally.failures == [f"{grid[1].label}: no luck"]


class Leaving(Silent):
    """A person who presses Ctrl-C at once."""

    def stopping(self):
        return True


def test_leaving_leaves_the_queue_going_and_the_same_command_queues_nothing_twice(ws, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: 0)  # nobody works: they only wait
    todo = missing(cells(ws, study()))
    for _ in range(2):
        with pytest.raises(Stopped, match="the queue goes on with 2 runs"):
            by_queue(ws, "mine", todo, Leaving(), lambda line: None)
    waiting = Jobs(ws).list("queued")
    assert sorted(j.title for j in waiting) == [f"mine: {c.label}" for c in todo]
    assert RepairSpec.model_validate(waiting[-1].spec) == todo[0].spec  # the cheapest came first


def test_leaving_ends_the_processes_of_the_command(ws):
    unmeasured = missing(cells(ws, study(evaluation=None)))
    with pytest.raises(Stopped, match="finished runs are kept"):
        here(ws, unmeasured, 1, Leaving(), lambda line: None)
    assert pipeline.runs(ws) == []


def test_what_the_queue_could_not_do_is_told_and_the_rest_is_done(ws, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: 0)
    todo, jobs, said = missing(cells(ws, study())), Jobs(ws), []

    class Works(Silent):
        """Ends the waiting jobs while somebody looks: the first badly, the second well."""

        def stopping(self):
            for job in jobs.list("queued"):
                bad = job.title.endswith(todo[0].label)
                jobs.end(job.id, "failed" if bad else "succeeded", "the disk is full" if bad else "")
            return False

    failures = by_queue(ws, "mine", todo, Works(), said.append)
    assert failures == [f"{todo[0].label}: the disk is full"]
    assert len(said) == 2 and sum("failed" in line for line in said) == 1


def test_runs_that_kept_the_untouched_model_are_counted_where_their_numbers_stand(ran):
    found = cells(ran, study())
    assert "untouched" not in report(ran, study(), found)
    held = [replace(c, run=replace(c.run, manifest=idle(c.run.manifest))) for c in found]
    said = report(ran, study(), held)
    assert f"2, {len(held)} untouched" in said
    assert f"({len(held)} untouched: no validation was better than the untouched model's" in said


def idle(manifest):
    return manifest.model_copy(update={"result": manifest.result | {"steps": 5, "best_step": 0}})
