"""`evaluate` with all it can measure: printed with intervals, and the same as json."""

import json

import pytest

from core.workspace import Workspace

ASK = ["evaluate", "--model", "demo", "--pool", "demo-prompts", "--prompts", "4", "--samples", "2"]
ASK += ["--text", "demo-behaviours"]


@pytest.fixture
def demo(tmp_path):
    return Workspace.open(tmp_path / "ws")


def test_last_words_requests_judge_and_fluency_are_printed_with_intervals(demo, command_line):
    run = command_line(demo)
    more = ["--lambada", "demo-behaviours", "--requests", "demo-behaviours"]
    code, out, _ = run(*ASK, *more, "--judge", "demo:insult", "--fluency", "demo")
    assert code == 0
    assert "judge demo:insult, fluency by demo" in out.splitlines()[0]
    lines = {line.split("  ")[1].strip(): line for line in out.splitlines()[1:]}
    for name in ("fluency", "demo-behaviours last_word_accuracy", "demo-behaviours refusal_safe",
                 "demo-behaviours refusal_unsafe", "demo-behaviours harmful_compliance"):  # fmt: skip
        assert "[" in lines[name] and "n = " in lines[name]
    code, told, _ = run(*ASK, *more, "--judge", "demo:insult", "--fluency", "demo", "--json")
    found = json.loads(told)
    assert code == 0 and found["judge"] == "demo:insult"
    assert found["requests"]["demo-behaviours"]["refusal_safe"]["n"] == 4


def test_a_judge_without_requests_is_said_to_have_nothing_to_read(demo, command_line):
    code, _, errors = command_line(demo)(*ASK, "--judge", "demo")
    assert code != 0 and "--requests" in errors
