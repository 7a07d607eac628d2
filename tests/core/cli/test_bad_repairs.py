"""Repairs that cannot work, or cannot go on: one sentence that says what to do, exit code 2, no traceback."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from core.workspace import Workspace
from core.workspace.store import SHIPPED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def demo(tmp_path):
    assert SHIPPED.is_dir(), "the demo's artefacts are part of the project: python -m core demo build"
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def spec(tmp_path):
    """A function that writes a repair of eight demo pairs in two steps, with these changes; the file."""

    def write(params=None, rows=8, **changes):
        recipe = {"pool": "demo", "strategy": "uniform", "method": "dpo", "budget": {"rows": rows}}
        settings = {"lr": 3e-5, "steps": 2, "batch": 4, "warmup": 0, "validation_size": 8} | (params or {})
        panel = {"every": 0, "prompts": 0, "texts": 0}
        said = {"selection": recipe, "params": settings, "model": "demo", "panel": panel, "device": "cpu"}
        path = tmp_path / "spec.json"
        path.write_text(json.dumps(said | {"method": "dpo", "seed": 0} | changes))
        return path

    return write


@pytest.fixture
def changed_model(tmp_path):
    """A function that copies the demo's model and changes json files of it: name -> change in place."""

    def copy(**changes):
        folder = tmp_path / "model"
        shutil.copytree(SHIPPED / "models" / "lm", folder)
        for name, change in changes.items():
            path = folder / f"{name}.json"
            said = json.loads(path.read_text())
            change(said)
            path.write_text(json.dumps(said))
        return folder

    return copy


def imported(run, tmp_path, rows, name):
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("pool", "import", path, "--name", name)[0] == 0


def one_sentence(code, errors):
    """The last line of what was told; the others are the estimate and progress."""
    told = errors.strip().splitlines()[-1]
    assert code == 2 and told.startswith("winnow: ") and "Traceback" not in errors
    return told


def test_memory_and_time_are_said_before_it_starts_and_not_for_what_is_done(demo, command_line, spec):
    run = command_line(demo)
    code, out, errors = run("repair", spec())
    assert code == 0 and out.startswith("run ")
    assert errors.splitlines()[0].startswith("About ") and "GB of memory" in errors.splitlines()[0]
    code, out, errors = run("repair", spec(), "--json")
    assert code == 0 and not errors and json.loads(out)["result"]["steps"] == 2


def test_a_model_without_a_padding_token_is_repaired_like_any_other(demo, command_line, spec, changed_model):
    def drop(said):
        said.pop("pad_token", None)
        said.pop("pad_token_id", None)

    folder = changed_model(tokenizer_config=drop, config=drop, generation_config=drop)
    run = command_line(demo)
    found = [json.loads(run("repair", spec(model=m), "--json")[1]) for m in ("demo", str(folder))]
    assert found[0]["result"]["final"] == found[1]["result"]["final"]


def test_a_context_shorter_than_the_texts_cuts_them_and_trains(demo, command_line, spec, changed_model):
    from safetensors.numpy import load_file, save_file

    folder = changed_model(config=lambda said: said.update(n_positions=16))
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("wpe.weight"))
    save_file(weights | {name: weights[name][:16].copy()}, folder / "model.safetensors", {"format": "pt"})
    code, out, _ = command_line(demo)("repair", spec(model=str(folder)), "--json")
    found = json.loads(out)["result"]
    assert code == 0 and found["steps"] == 2 and not found["stopped_early"]


def test_a_tokenizer_that_has_grown_past_its_model_is_refused(demo, command_line, spec, changed_model):
    def grow(said):
        new = dict(said["added_tokens"][0], id=10_000, content="<|new|>")
        said["added_tokens"].append(new)

    folder = changed_model(tokenizer=grow)
    code, _, errors = command_line(demo)("repair", spec({"scope": "lora"}, model=str(folder)))
    assert "they do not belong together" in one_sentence(code, errors)


def test_pairs_with_equal_sides_are_named(demo, command_line, spec, tmp_path):
    run = command_line(demo)
    rows = [{"id": f"e{i}", "prompt": f"Say {i}", "chosen": "the same", "rejected": "the same"}
            for i in range(20)]  # fmt: skip
    imported(run, tmp_path, rows, "equal")
    recipe = {"pool": "equal", "strategy": "uniform", "method": "dpo", "budget": {"percent": 100}}
    told = one_sentence(*run("repair", spec(selection=recipe))[::2])
    assert "16 of 16 rows" in told and "are the same" in told and "leave such rows out" in told


def test_a_loss_that_is_no_number_stops_the_run_and_says_the_step(demo, command_line, spec):
    wild = {"lr": 1.0, "steps": 50, "clip": 1000.0, "validate_every": 1}
    run = command_line(demo)
    code, out, errors = run("repair", spec(wild), "--json")
    result = json.loads(out)["result"]
    said = f"not finite at step {result['steps'] + 1}"
    assert code == 0 and said in errors and "the best weights are kept" in errors and result["steps"] < 50
    code, out, _ = run("run", "show", json.loads(out)["id"])
    assert code == 0 and said in out


def test_prompts_to_measure_on_that_are_not_there_are_told_before_training(
    demo, command_line, spec, tmp_path
):
    run = command_line(demo)
    rows = [{"id": f"x{i}", "prompt": "", "response": f"text number {i} of nothing"} for i in range(30)]
    imported(run, tmp_path, rows, "bare")
    asked = {"pool": "bare", "protocol": {"prompts": 2, "samples": 1}}
    told = one_sentence(*run("repair", spec(evaluation=asked))[::2])
    assert "'bare' has no held-out prompts" in told and not list(demo.path("runs").glob("*"))


def test_a_scorer_that_cannot_be_fetched_says_how_to_get_it_and_what_else_serves(
    demo, command_line, monkeypatch
):
    def offline(*_, **__):
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(demo.root))
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    ask = ["--model", "demo", "--pool", "demo-prompts", "--prompts", "1", "--samples", "1"]
    told = one_sentence(*command_line(demo)("evaluate", *ask, "--scorer", "unbiased")[::2])
    assert "connect once" in told and "'demo'" in told and "folder" in told


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_too_little_memory_says_what_to_lower_and_that_it_can_go_on(demo, spec):
    import resource

    path = spec({"batch": 400}, rows=1500)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3_200_000_000,) * 2);"
        f"sys.argv = ['core', 'repair', {str(path)!r}, '--workspace', {str(demo.root)!r}];"
        "from core.__main__ import main; main()"
    )
    assert resource.RLIMIT_AS
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = one_sentence(done.returncode, done.stderr)
    assert "did not fit" in told and "Lower batch" in told and "goes on from its last checkpoint" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["density", "--pool", "demo", "--rows", "0"], "rows: input should be greater than or equal to 1"),
        (["density", "--pool", "nope"], "no pool named 'nope'"),
        (["job", "stop", "nope"], "no job 'nope'"),
        (["job", "move", "nope", "first"], "no job 'nope'"),
        (["job", "slots", "0"], "at least 1"),
        (["run", "show", "nope"], "no run 'nope'"),
        (["run", "drop-model", "nope"], "no run 'nope'"),
        (["export", "nope", "--out", "never"], "no run 'nope'"),
        (["against", "base", "nope"], "no finished run 'nope'"),
        (["study", "report", "nope"], "no study 'nope'"),
    ],
)
def test_a_slip_is_one_sentence(demo, command_line, words, said):
    code, _, errors = command_line(demo)(*words)
    assert said in one_sentence(code, errors)


def test_what_is_done_to_a_job_can_be_told_as_json(demo, command_line):
    code, out, _ = command_line(demo)("job", "slots", "--json")
    assert code == 0 and json.loads(out) == {"cpu": 1, "gpu": 1}
