"""A repair that is killed and called again ends with the very same weights, whatever the method and scope."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core.lm.load import load_model
from core.lm.tokenise import joiner
from core.repair import METHODS, repair
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example

EXAMPLES = [
    Example(f"e{n}", prompt, f"a kind answer {n}", f"a rude answer {n}, and long")
    for n, prompt in enumerate(["The neighbour asks:", "", "At the gate", "Once more", "At last"])
]
NORMAL = ["the weather is mild", "a lamp stands on the table", "they walk home", "it is late"]
QUICK = {"lr": 1e-3, "warmup": 2, "batch": 2, "steps": 4, "validate_every": 2}
TRAINED = ["dapt", "dapt_kl", "dexperts", "dpo", "grad_diff", "irepair", "irepair_kl", "npo", "sft"]
TRAINED += ["task_negation", "token_penalty"]


class Killed(Exception):
    """What ends the process in these tests."""


class Killing:
    """Dies while the row of this step (of this phase) is told: the step is done, its checkpoint is not."""

    def __init__(self, step=None, phase=None):
        self.step, self.phase, self.rows = step, phase, []

    def progress(self, done, total, what):
        pass

    def record(self, row):
        self.rows.append(row)
        if "loss" in row and row["step"] == self.step and row.get("phase") == self.phase:
            raise Killed

    def stopping(self):
        return False

    def asked(self, what):
        return False


class Memo:
    """A memo in memory that counts what is asked of it."""

    def __init__(self):
        self.known, self.put_calls = {}, 0

    def get(self, keys):
        return [self.known.get(key) for key in keys]

    def put(self, keys, values):
        self.put_calls += 1
        self.known |= dict(zip(keys, values, strict=True))


def run(lm, name, folder, params=None, **more):
    masks = []
    if METHODS[name].masks:
        sides = [[(e.prompt, e.response), (e.prompt, e.rejected)] for e in EXAMPLES[:4]]
        counts = [[len(lm.tokenizer(joiner(p, t) + t).input_ids) for p, t in row] for row in sides]
        masks = [tuple([n % 3 == 1 for n in range(c)] for c in row) for row in counts]
    return repair(
        lm,
        name,
        EXAMPLES[:4],
        EXAMPLES[4:],
        params=QUICK | (params or {}),
        normal=NORMAL,
        folder=folder,
        keep="none",
        masks=masks,
        every_s=0,
        **more,
    )


def test_every_method_of_the_registry_is_tried():
    assert sorted(TRAINED) == [name for name in METHODS if METHODS[name].phases]


@pytest.mark.parametrize("name", TRAINED)
def test_a_killed_repair_ends_with_the_weights_of_the_uninterrupted_one(tiny_lm, tmp_path, name):
    phase = METHODS[name].phases[-1].name or None
    whole = run(tiny_lm(), name, tmp_path / "whole", scratch=tmp_path / "other")
    scratch, killing = tmp_path / "scratch", Killing(3, phase)
    with pytest.raises(Killed):
        run(tiny_lm(), name, tmp_path / "run", scratch=scratch, reporter=killing)
    notes = Killing()
    resumed = run(tiny_lm(), name, tmp_path / "run", scratch=scratch, reporter=notes)
    assert resumed.weights == whole.weights
    assert resumed.losses == whole.losses and resumed.validations == whole.validations
    assert resumed.resumed == ((4, 6) if name == "dexperts" else (2,)), "steps are counted on over phases"
    told = [row["step"] for row in notes.rows if "loss" in row]
    assert told == [3, 4], "what was done before the kill is not done again"
    without = run(tiny_lm(), name, tmp_path / "without")
    assert without.weights == whole.weights, "checkpoints must not change the run"


@pytest.mark.parametrize("scope", ["all", "lora", "dynamic", "min", "fixed"])
def test_every_scope_survives_a_kill(tiny_lm, tmp_path, scope):
    params = {"scope": scope, "slice_rows": 2}
    whole = run(tiny_lm(), "irepair_kl", tmp_path, params)
    with pytest.raises(Killed):
        run(tiny_lm(), "irepair_kl", tmp_path, params, scratch=tmp_path / "s", reporter=Killing(4))
    resumed = run(tiny_lm(), "irepair_kl", tmp_path, params, scratch=tmp_path / "s")
    assert resumed.weights == whole.weights and resumed.resumed == (3,)
    assert resumed.block_counts == whole.block_counts


@pytest.mark.parametrize(
    "change",
    [{"params": {"clip": 1.0}}, {"seed": 1}, {"normal": NORMAL[:3]}, {"method": "dapt_kl"}, {"rows": 3}],
)
def test_a_checkpoint_of_another_repair_is_not_taken_up(tiny_lm, tmp_path, change):
    def go(lm, method="irepair_kl", params=None, rows=4, seed=0, normal=NORMAL, reporter=None):
        given = {"params": QUICK | (params or {}), "normal": normal, "seed": seed, "reporter": reporter}
        kept = {"folder": tmp_path, "keep": "none", "scratch": tmp_path / "s", "every_s": 0}
        return repair(lm, method, EXAMPLES[:rows], EXAMPLES[4:], **given, **kept)

    with pytest.raises(Killed):
        go(tiny_lm(), reporter=Killing(3))
    assert go(tiny_lm(), **change).resumed == ()


def test_a_finished_repair_called_again_trains_nothing(tiny_lm, tmp_path):
    first = run(tiny_lm(), "dexperts", tmp_path, scratch=tmp_path / "s")
    notes = Killing()
    again = run(tiny_lm(), "dexperts", tmp_path, scratch=tmp_path / "s", reporter=notes)
    assert again.weights == first.weights and again.losses == first.losses
    assert not [row for row in notes.rows if "loss" in row]
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == [
        "train-1.safetensors",
        "train-2.safetensors",
    ]


def test_a_kill_while_the_reference_is_read_loses_one_chunk_at_most(tiny_lm, tmp_path, monkeypatch):
    monkeypatch.setattr("core.repair.reference.ROWS", 3)
    whole = run(tiny_lm(), "dpo", tmp_path, memo=Memo())
    memo, told = Memo(), []

    class Dying(Killing):
        def progress(self, done, total, what):
            told.append(done)
            if "reference" in what and len(told) == 2:
                raise Killed

    with pytest.raises(Killed):
        run(tiny_lm(), "dpo", tmp_path, memo=memo, reporter=Dying())
    assert len(memo.known) == 6, "two chunks of three are known already"
    assert run(tiny_lm(), "dpo", tmp_path, memo=memo).weights == whole.weights
    assert len(memo.known) == 10 and memo.put_calls == 4


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from core.lm.load import load_model
from core.lm.threads import use_threads
from test_resume import EXAMPLES, Killing, run

class Kill(Killing):
    def record(self, row):
        if row.get("step") == 3 and "loss" in row:
            os.kill(os.getpid(), signal.SIGKILL)

use_threads(1)
run(load_model({model!r}), "irepair_kl", Path({folder!r}), scratch=Path({scratch!r}), reporter=Kill())
"""


def test_kill_9_of_the_process_then_the_same_call_gives_the_same_weights(tiny_lm, tiny_folder, tmp_path):
    whole = run(tiny_lm(), "irepair_kl", tmp_path / "whole")
    script = SCRIPT.format(
        tests=os.path.dirname(__file__),
        model=str(tiny_folder()),
        folder=str(tmp_path / "run"),
        scratch=str(tmp_path / "scratch"),
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    lm = tiny_lm()
    resumed = run(lm, "irepair_kl", tmp_path / "run", scratch=tmp_path / "scratch")
    assert resumed.resumed == (2,) and resumed.weights == whole.weights
    assert weights_hash(snapshot(weights_of(lm.model))) == whole.weights
    assert load_model(str(tiny_folder())).hash == lm.hash, "the base on disk is untouched"
