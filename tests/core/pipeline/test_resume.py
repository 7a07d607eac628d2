"""A repair that is killed at any moment, for real, goes on and ends as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core import pipeline
from core.pipeline.kept import BEGUN, KeptRows, standing_rows
from core.pipeline.runs import METRICS, find_asked
from core.values import Budget, EvaluationProtocol, EvaluationSpec, Panel, Recipe, RepairSpec, Silent
from core.workspace import Workspace
from core.workspace.store import PROJECT, SHIPPED

STEPS = 12
LOOK = EvaluationProtocol(name="look", prompts=6, samples=3, new_tokens=6)

WORKER = """
import functools, importlib, json, os, signal, sys
from core.values import RepairSpec, Silent
from core.workspace import Workspace

runs = importlib.import_module("core.pipeline.runs")
root, spec, moment, number = sys.argv[1:]
seen = {"call": 0, "step": 0, "measured": 0}

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def reached(what, value):
    if moment == what and value >= int(number):
        die()

class Deadly(Silent):
    def progress(self, done, total, what):
        seen["call"] += 1
        reached("call", seen["call"])
        if seen["step"] and what != "steps of repair":
            seen["measured"] += 1
            reached("measured", seen["measured"])

    def record(self, row):
        seen["call"] += 1
        reached("call", seen["call"])
        if "loss" in row or "resumed" in row:
            seen["step"] = 1
        if "loss" in row:
            reached("step", row["step"])
            reached("anti", row["step"] if row.get("phase") == "anti" else 0)

write = runs.write_json

def deadly_write(path, value):
    if path.name == "manifest.json":
        reached("manifest", 1)
    write(path, value)
    if path.name == "manifest.json":
        reached("written", 1)

runs.write_json = deadly_write
runs.repair = functools.partial(runs.repair, every_s=0.0)  # a checkpoint after every step
runs.run_repair(Workspace.open(root, None), RepairSpec(**json.loads(spec)), Deadly())
"""


def asked(tiny_folder, method="sft", **more) -> RepairSpec:
    recipe = Recipe(pool="small", strategy="uniform", budget=Budget(rows=16), method=method)
    params = {"lr": 1e-3, "steps": STEPS, "batch": 4, "warmup": 1, "validate_every": 3, "validation_size": 4}
    return RepairSpec(
        selection=recipe,
        method=method,
        params=params | more.pop("params", {}),
        model=str(tiny_folder("gpt2")),
        scorer=str(SHIPPED / "models" / "scorer"),
        panel=Panel(every=5, prompts=4, texts=4, samples=2),
        evaluation=EvaluationSpec(pool="small", protocol=LOOK, scorer=str(SHIPPED / "models" / "scorer")),
        device="cpu",
        **more,
    )


def until(ws, spec, moment, number=1):
    """Run it in a process of its own that kills itself at that moment; whether it was killed."""
    command = [sys.executable, "-c", WORKER, str(ws.root), spec.model_dump_json(), moment, str(number)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "WINNOW_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def rows_of(run):
    return [json.loads(line) for line in (run.folder / METRICS).read_text().splitlines()]


def told(rows):
    """What each row says of the run, times and memory left out."""
    kinds = {
        "loss": lambda r: (r["step"], r["loss"], r["parts"], r["grad_norm"]),
        "validation": lambda r: (r["step"], r["validation"], r["best"], r["patience"]),
        "panel": lambda r: (r["step"], {k: v for k, v in r["panel"].items() if k != "seconds"}),
    }
    return {kind: [say(r) for r in rows if kind in r] for kind, say in kinds.items()}


@pytest.fixture
def two(own, tmp_path, monkeypatch):
    """Two workspaces with the same pool: one for the run that is left alone, one for the one that is not."""
    monkeypatch.setenv("WINNOW_THREADS", "1")
    shutil.copytree(own.root, tmp_path / "other")
    return own, Workspace.open(tmp_path / "other", None)


@pytest.mark.parametrize("seed", [0])
def test_killed_at_any_moment_it_ends_with_the_same_weights_and_numbers(two, tiny_folder, seed):
    calm, harried = two
    spec = asked(tiny_folder)
    whole = pipeline.run_repair(calm, spec)
    rng = np.random.default_rng(seed)
    moments = [
        ("call", int(rng.integers(1, 12))),
        ("step", int(rng.integers(3, STEPS))),
        ("measured", int(rng.integers(2, 6))),
        ("manifest", 1),
    ]
    for moment, number in moments:
        assert until(harried, spec, moment, number), (moment, number)
        assert pipeline.runs(harried)[0].id.startswith("run-")  # only those of the fixture: none half made
        assert pipeline.find_run(harried, whole.id) is None
    run = pipeline.run_repair(harried, spec)
    assert run.id == whole.id
    assert run.manifest.result["weights"] == whole.manifest.result["weights"]
    for field in ("losses", "validations", "best_step", "final", "tokens"):
        assert run.manifest.result[field] == whole.manifest.result[field], field
    assert run.evaluation.metrics == whole.evaluation.metrics
    assert run.evaluation.texts == whole.evaluation.texts
    assert told(rows_of(run)) == told(rows_of(whole))
    assert run.manifest.resumed
    assert whole.manifest.resumed == ()
    assert not (harried.root / "partial" / "runs" / run.id).exists()
    kept = [(ws.path("runs", run.id, "generations.parquet")).read_bytes() for ws in two]
    assert kept[0] == kept[1]


def test_two_phases_are_taken_up_each_where_it_was(two, tiny_folder):
    calm, harried = two
    spec = asked(tiny_folder, "dexperts", params={"steps": 5}).model_copy(update={"keep_model": "none"})
    whole = pipeline.run_repair(calm, spec)
    assert until(harried, spec, "anti", 4)
    run = pipeline.run_repair(harried, spec)
    assert run.manifest.result["weights"] == whole.manifest.result["weights"]
    assert run.evaluation.metrics == whole.evaluation.metrics
    assert told(rows_of(run)) == told(rows_of(whole))
    assert not (run.folder / "model").exists()


class StopsAfter(Silent):
    """Asks for a clean stop once the step was made."""

    def __init__(self, step):
        self.step, self.now = step, 0

    def record(self, row):
        self.now = row["step"] if "loss" in row else self.now

    def stopping(self):
        return self.now >= self.step


def test_a_stopped_run_goes_on_from_where_it_stopped(two, tiny_folder):
    calm, stopped = two
    spec = asked(tiny_folder)
    whole = pipeline.run_repair(calm, spec)
    half = pipeline.run_repair(stopped, spec, StopsAfter(5))
    assert half.interrupted
    assert half.evaluation is None
    assert pipeline.find_run(stopped, half.id).manifest.result["steps"] == 5
    assert find_asked(stopped, spec) is None
    run = pipeline.run_repair(stopped, spec)
    assert run.manifest.resumed == (5,)
    assert run.manifest.result["weights"] == whole.manifest.result["weights"]
    assert run.evaluation.metrics == whole.evaluation.metrics
    assert [r["step"] for r in rows_of(run) if "loss" in r] == list(range(1, STEPS + 1))


def test_killed_between_the_last_write_and_the_clearing_up_it_is_whole_at_once(two, tiny_folder):
    _, ws = two
    spec = asked(tiny_folder, params={"steps": 2})
    run = pipeline.run_repair(ws, spec)
    stamp = (run.folder / "manifest.json").stat().st_mtime_ns
    left = ws.path("partial", "runs", run.id)
    left.mkdir(parents=True)
    for note in ws.path("asked").glob("*.json"):
        note.unlink()
    again = pipeline.run_repair(ws, spec)
    assert (again.folder / "manifest.json").stat().st_mtime_ns == stamp
    assert not left.exists()
    assert find_asked(ws, spec).id == run.id


def kept(path: Path, *processes):
    """Rows as these processes record them, one after the other; what a fourth one would be told first."""
    for rows in processes:
        reporter = KeptRows(Silent(), path)
        for row in rows:
            reporter.record(row)
    return standing_rows(path)


def steps(*numbers, **more):
    return [{"step": n, "loss": n / 10} | more for n in numbers]


def test_rows_after_the_step_taken_up_again_are_void(tmp_path):
    found = kept(tmp_path / "m", steps(1, 2, 3, 4), [{"resumed": 2}, *steps(3, 4, 5)])
    assert [r["step"] for r in found if "loss" in r] == [1, 2, 3, 4, 5]
    assert {"resumed": 2} in found


def test_a_process_that_begins_anew_makes_all_earlier_rows_void(tmp_path):
    before = [{"step": 0, "validation": 1.0}, *steps(1, 2)]
    assert kept(tmp_path / "m", before, [{"step": 0, "validation": 1.0}, *steps(1)]) == [
        {"step": 0, "validation": 1.0},
        *steps(1),
    ]


def test_a_step_that_was_not_finite_stays_although_a_validation_of_an_earlier_one_follows(tmp_path):
    rows = [*steps(1, 2), {"step": 2, "validation": 0.5}]
    assert kept(tmp_path / "m", [*rows[:2], {"step": 1, "validation": 0.5}])[1]["step"] == 2


def test_phases_are_taken_up_apart(tmp_path):
    first, second = steps(1, 2, 3, phase="expert"), steps(1, 2, phase="anti")
    again = [
        {"resumed": 3, "phase": "expert"},
        {"resumed": 1, "phase": "anti"},
        *steps(2, 3, phase="anti"),
    ]
    found = [(r["phase"], r["step"]) for r in kept(tmp_path / "m", [*first, *second], again) if "loss" in r]
    assert found == [("expert", n) for n in (1, 2, 3)] + [("anti", n) for n in (1, 2, 3)]


def test_a_line_cut_by_a_kill_is_left_out_and_what_counted_is_told_again(tmp_path):
    path = tmp_path / "m"
    kept(path, steps(1, 2))
    with path.open("a") as file:
        file.write('{"step": 3, "lo')
    heard = []
    outer = Silent()
    outer.record = heard.append
    reporter = KeptRows(outer, path)
    reporter.record({"resumed": 2})
    reporter.record(steps(3)[0])
    assert heard == [*steps(1, 2), {"resumed": 2}, *steps(3)]
    assert not any(BEGUN in row for row in heard)
