"""Generation that is cut off and taken up again: equal to one in one go, and nothing is made twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from core.errors import Stopped
from core.lm import generate
from core.lm.decoders import RAD, with_reward
from core.lm.generate import sample
from core.values import Silent

PROMPTS = ["the lamp", "old bread", "", "a longer prompt", "the lamp", "noon"]
SETTINGS = {"samples": 3, "new_tokens": 6, "batch": 4}


class StopsAfter(Silent):
    def __init__(self, looks):
        self.looks = looks

    def progress(self, done, total, what):
        self.looks -= 1
        if self.looks < 0:
            raise Stopped("stopped")


@pytest.fixture
def lm(tiny_lm):
    return tiny_lm()


@pytest.fixture
def made(monkeypatch):
    """How many rows each batch made anew had."""
    sizes = []
    inner = generate._continue

    def counting(lm, ids, rows, uniforms, plan):
        sizes.append(len(rows))
        return inner(lm, ids, rows, uniforms, plan)

    monkeypatch.setattr(generate, "_continue", counting)
    return sizes


@pytest.mark.parametrize("stop", [0, 1, 2, 4, 6])
def test_an_interrupted_generation_goes_on_where_it_was(lm, tmp_path, made, stop):
    whole = sample(lm, PROMPTS, **SETTINGS)
    batches, total = len(made), sum(made)
    with pytest.raises(Stopped):
        sample(lm, PROMPTS, scratch=tmp_path, key="k", reporter=StopsAfter(stop), **SETTINGS)
    assert sample(lm, PROMPTS, scratch=tmp_path, key="k", **SETTINGS) == whole
    assert len(made) == 2 * batches and sum(made) == 2 * total, "each batch once for each of the two results"
    assert sample(lm, PROMPTS, scratch=tmp_path, key="k", **SETTINGS) == whole and sum(made) == 2 * total


def test_every_finished_batch_is_out_of_this_process_before_the_next_begins(lm, tmp_path):
    lines = []

    class Looks(Silent):
        def progress(self, done, total, what):
            lines.append(sum(file.read_bytes().count(b"\n") for file in tmp_path.iterdir()))

    sample(lm, PROMPTS, scratch=tmp_path, reporter=Looks(), **SETTINGS)
    assert lines == list(range(len(lines))) and len(lines) > 4


def test_a_half_written_or_damaged_line_is_dropped_and_made_again(lm, tmp_path, made):
    whole = sample(lm, PROMPTS, scratch=tmp_path, **SETTINGS)
    (file,) = tmp_path.iterdir()
    data, batches = file.read_bytes(), len(made)
    lines = data.splitlines(keepends=True)
    assert len(lines) == batches
    for cut in (data[:-1], data[: -len(lines[-1]) // 2], data[:1], b"", data[: -len(lines[-1])] + b"\0" * 50):
        file.write_bytes(cut)
        assert sample(lm, PROMPTS, scratch=tmp_path, **SETTINGS) == whole
        assert file.read_bytes() == data, "what is made again is written behind what was whole"
    file.write_bytes(b'{"not": "rows"}\n' + data)
    assert sample(lm, PROMPTS, scratch=tmp_path, **SETTINGS) == whole


def test_other_prompts_settings_weights_or_decoders_take_nothing_up(lm, tmp_path, made):
    base = {"samples": 2, "new_tokens": 3, "batch": 100}
    rad = with_reward(replace(lm, decoder=RAD(1.0, 3, True)), lambda texts: [0.5] * len(texts))
    calls = [
        (lm, PROMPTS, {}),
        (lm, PROMPTS[::-1], {}),
        (lm, PROMPTS, {"seed": 1}),
        (lm, PROMPTS, {"samples": 3}),
        (lm, PROMPTS, {"new_tokens": 4}),
        (lm, PROMPTS, {"top_p": 0.5}),
        (lm, PROMPTS, {"temperature": 0.5}),
        (lm, PROMPTS, {"greedy": True}),
        (lm, PROMPTS, {"prompt_tokens": 3}),
        (lm, PROMPTS, {"key": "other weights"}),
        (replace(lm, hash="another"), PROMPTS, {}),
        (rad, PROMPTS, {}),
        (replace(rad, decoder=replace(rad.decoder, beta=2.0)), PROMPTS, {}),
    ]
    for number, (model, prompts, other) in enumerate(calls, 1):
        before = len(made)
        found = sample(model, prompts, scratch=tmp_path, **(base | other))
        assert len(made) > before and found == sample(model, prompts, **(base | other | {"key": ""}))
        assert len(list(tmp_path.iterdir())) == number


def test_another_batch_size_may_go_on_with_the_same_texts(lm, tmp_path, made):
    whole = sample(lm, PROMPTS, scratch=tmp_path, **SETTINGS)
    count = len(made)
    assert sample(lm, PROMPTS, scratch=tmp_path, **(SETTINGS | {"batch": 2})) == whole and len(made) == count


def test_texts_come_back_letter_by_letter(lm, tmp_path):
    odd = ["caf\u00e9 \u2028 line", 'quote " and \\', "half a sign \ufffd", "new\nline"]
    one = sample(lm, odd, scratch=tmp_path, **SETTINGS)
    assert sample(lm, odd, scratch=tmp_path, **SETTINGS) == one == sample(lm, odd, **SETTINGS)


def test_a_killed_process_leaves_its_finished_batches(tiny_folder, lm, tmp_path):
    whole = sample(lm, PROMPTS * 20, samples=5, new_tokens=10, batch=10)
    code = (
        "from core.lm.load import load_model\nfrom core.lm.generate import sample\nfrom pathlib import Path\n"
        f"lm = load_model({str(tiny_folder())!r})\nprint('ready', flush=True)\n"
        f"sample(lm, {PROMPTS!r} * 20, samples=5, new_tokens=10, batch=10, scratch=Path({str(tmp_path)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        until = time.monotonic() + 60
        while not any(p.stat().st_size > 500 for p in tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(worker.pid, signal.SIGKILL)
    (file,) = tmp_path.iterdir()
    left = file.read_bytes()
    assert 0 < left.count(b"\n") < 60, "killed in the middle"
    assert sample(lm, PROMPTS * 20, samples=5, new_tokens=10, batch=10, scratch=tmp_path) == whole
    assert file.read_bytes().startswith(left[: left.rfind(b"\n") + 1])
