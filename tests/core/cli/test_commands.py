"""The command line as a person meets it: help, examples, one sentence for a mistake, json for machines."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.cli.options import show

ROOT = Path(__file__).parents[3]


def winnow(*words: str, workspace: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    env = os.environ | {"WINNOW_WORKSPACE": str(workspace)}
    return subprocess.run(
        [sys.executable, "-m", "core", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env,
        input=stdin,
        timeout=300,
    )


@pytest.mark.parametrize(
    "words",
    [
        ["pool", "import", "/nowhere.csv", "--name", "n"],
        ["signal", "projection", "--pool", "demo"],
        ["signal", "projection:umap", "--pool", "nobody"],
        ["signal", "projection:umap", "--pool", "demo", "--set", "n_neighbors"],
        ["select"],
        ["select", "sapz", "--pool", "demo"],
        ["repair", "/nowhere.json"],
        ["repair", "-"],
        ["evaluate", "--model", "demo", "--pool", "demo-prompts", "--protocol", "none"],
        ["evaluate", "--model", "/nowhere", "--pool", "demo-prompts"],
        ["evaluate", "--model", "demo", "--pool", "demo-prompts", "--samples", "0"],
        ["signal", "embedding:minilm", "--pool", "demo", "--template", "none"],
        ["signal", "clustering:kmeans", "--pool", "demo", "--space", "none"],
        ["select", "uniform", "--pool", "demo", "--out", "rows.xyz"],
    ],
    ids=lambda words: " ".join(words),
)
def test_a_mistake_is_one_sentence_and_exit_code_2(words, tmp_path):
    done = winnow(*words, workspace=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("winnow: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_the_printed_examples_are_accepted_as_they_are(tmp_path):
    example = winnow("select", "--print-example", workspace=tmp_path).stdout
    done = winnow("select", "-", "--json", workspace=tmp_path, stdin=example)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recipe"]["strategy"] == "saps"
    spec = json.loads(winnow("repair", "--print-example", workspace=tmp_path).stdout)
    spec["params"] |= {"steps": 2}
    spec["evaluation"]["protocol"] |= {"prompts": 4, "samples": 2}
    done = winnow("repair", "-", "--json", workspace=tmp_path, stdin=json.dumps(spec))
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["evaluation"]["metrics"]["toxicity_mean"]["n"] == 4
    listed = json.loads(winnow("run", "list", "--json", workspace=tmp_path).stdout)
    assert [r["id"] for r in listed] == [run["id"]]
    assert "toxicity_mean" in winnow("run", "table", workspace=tmp_path).stdout


def test_a_pool_goes_in_and_its_chosen_rows_come_out(tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(
        "q,a,label\n" + "".join(f"question {i},answer {i},{'no' if i % 2 else 'sorry'}\n" for i in range(30))
    )
    done = winnow(
        "pool", "import", str(source), "--name", "mine", "--map", "prompt=q", "--map", "response=a",
        "--value", "refusal@label:sorry=yes", "--json", workspace=tmp_path / "ws",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 30
    assert "mine" in winnow("pool", "list", workspace=tmp_path / "ws").stdout
    recipe = json.dumps({"pool": "mine", "strategy": "uniform", "method": "sft", "budget": {"rows": 5}})
    out = tmp_path / "chosen.jsonl"
    done = winnow("select", "-", "--out", str(out), workspace=tmp_path / "ws", stdin=recipe)
    assert done.returncode == 0, done.stderr
    assert "plain text" in done.stderr
    assert len(out.read_text().splitlines()) == 5


def test_help_names_units_and_defaults(tmp_path):
    for words in (
        ["--help"],
        ["pool", "import", "--help"],
        ["signal", "--help"],
        ["evaluate", "--help"],
        ["demo", "--help"],
    ):
        done = winnow(*words, workspace=tmp_path)
        assert done.returncode == 0
        assert "Usage" in done.stdout


@pytest.mark.parametrize("text", ["[" * 100_000, '{"pool": "\\ud800", "strategy": "uniform"}', "{"])
def test_what_is_no_json_in_utf8_is_one_sentence(text, tmp_path):
    done = winnow("select", "-", workspace=tmp_path, stdin=text)
    assert done.returncode == 2
    assert done.stderr.startswith("winnow: standard input is no json in UTF-8")
    assert len(done.stderr.strip().splitlines()) == 1


def test_json_output_is_json_even_where_a_number_is_none(capsys):
    show({"value": float("nan")}, True, "")
    assert capsys.readouterr().out == '{"value": null}\n'


def test_a_stop_is_clean_and_its_exit_code_is_no_mistake(tmp_path):
    words = ["signal", "embedding:minilm", "--pool", "demo", "--template", "prompt"]
    work = subprocess.Popen(
        [sys.executable, "-m", "core", *words, "--workspace", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob("signals/embedding/.*.making/all/done.json")) and time.monotonic() < until:
        time.sleep(0.05)
    work.send_signal(signal.SIGTERM)  # Ctrl-C goes the same way
    said = work.communicate(timeout=60)[1]
    assert work.returncode == 130
    assert said.strip().splitlines()[-1] == "winnow: stopped as asked; what was finished before is kept"


def test_a_strategys_name_with_a_budget_is_a_recipe(tmp_path):
    done = winnow(
        "select",
        "uniform",
        "--pool",
        "demo",
        "--rows",
        "3",
        "--seed",
        "7",
        "--method",
        "sft",
        "--json",
        workspace=tmp_path,
    )
    recipe = json.loads(done.stdout)["recipe"]
    assert (recipe["budget"]["rows"], recipe["seed"], recipe["method"]) == (3, 7, "sft")
    assert len(json.loads(done.stdout)["ids"]) == 3
    both = winnow("select", "uniform", "--pool", "demo", "--rows", "3", "--percent", "1", workspace=tmp_path)
    assert both.returncode == 2
    assert "as rows, as percent or as tokens" in both.stderr
