"""A training goes on after any end: kill -9, a stop, too little memory; the bits are those of a whole one."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.lm.load import load_model
from core.lm.threads import use_threads
from core.lm.tokenise import encode_pairs
from core.repair.base import KLParams, Setting
from core.repair.objectives import Likelihood, Preferences, WithKL
from core.repair.scopes import open_scope
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.training.loop import train
from core.training.parts import Pair, Terms
from core.training.resume import SHARE, Checkpoint, Keeper
from core.training.schedule import TrainingParams

STEPS = 12
GOOD = [
    "a mild answer",
    "they walk home",
    "tea, then",
    "a lamp",
    "the weather is fine today",
    "no",
    "well met",
]
BAD = [
    "a rude word",
    "go away now",
    "never",
    "a stone thrown",
    "nobody asked you, whoever you are",
    "x",
    "bah",
]
NORMAL = ["the weather is mild", "a lamp stands there", "they went", "tea is ready, so come in", "one more"]
KINDS = {  # scope, objective, settings
    "all": ("all", "sft", {}),
    "dynamic": ("dynamic", "sft", {}),
    "kl": ("all", "kl", {}),
    "adamw": ("lora", "dpo", {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "linear"}),
}


class Killed(BaseException):
    """Ends a run in the test's own process as abruptly as Python allows."""


@dataclass
class Notes:
    """Remembers rows; asks for a checkpoint after some steps, dies at a row, is stopped at a step."""

    saves: frozenset[int] = frozenset()
    die_at: int | None = None
    stop_at: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def progress(self, done, total, what):
        pass

    def record(self, row):
        if len(self.rows) == self.die_at:
            raise Killed
        self.rows.append(dict(row))

    def stopping(self):
        return self.stop_at == self.step

    def asked(self, what):
        return what == "save" and self.step in self.saves

    @property
    def step(self):
        return max((r["step"] for r in self.rows if "loss" in r), default=0)


def pairs_of(lm):
    sides = [encode_pairs(lm.tokenizer, ["Say:"] * len(texts), texts) for texts in (GOOD, BAD)]
    return [Pair(number, good, bad) for number, (good, bad) in enumerate(zip(*sides, strict=True))]


def objective_of(lm, name, params):
    normal = encode_pairs(lm.tokenizer, [""] * len(NORMAL), NORMAL)
    if name == "kl":
        return WithKL(Likelihood(lm), Setting(lm, params, normal, 3))
    return Preferences(lm, 0.1) if name == "dpo" else Likelihood(lm)


def trained(lm, kind, checkpoint=None, notes=None, watch=None, change=None, **more):
    """Train this kind of run on the tiny model; what came of it, and the hash of the weights."""
    scope_name, name, own = KINDS[kind]
    given = {"lr": 2e-3, "warmup": 3, "batch": 2, "steps": STEPS, "validate_every": 2, "patience": 4}
    params = KLParams(**given | {"scope": scope_name} | own | more)
    before = snapshot(weights_of(lm.model))
    pairs = pairs_of(lm)
    objective = objective_of(lm, name, params)
    scope = open_scope(lm, params)
    if change:
        change(objective)
    try:
        done = train(
            *(lm, objective, scope, pairs[:5], pairs[5:]),
            params=params,
            seed=1,
            before=before,
            reporter=notes or Notes(),
            watch=watch,
            checkpoint=checkpoint,
        )
    finally:
        scope.close()
    return done, weights_hash(snapshot(weights_of(lm.model)))


def told(done):
    """What must be the same whether a run was interrupted or not."""
    return {k: v for k, v in asdict(done).items() if k not in ("seconds", "peak_bytes", "resumed")}


def read(rows):
    """The rows as a reader sees them: those after the step of a resumption are void, times differ."""
    kept: dict[Any, Any] = {}
    for row in rows:
        if "resumed" in row:
            kept = {key: r for key, r in kept.items() if r["step"] <= row["resumed"]}
        elif "saved" not in row:
            kind = next(k for k in ("loss", "validation", "panel") if k in row)
            times = ("tokens_per_second", "step_ms", "peak_bytes")
            kept[kind, row["step"]] = {k: v for k, v in row.items() if k not in times}
    return kept


def kept_in(folder, every_s=1e9, key="this run"):
    return Checkpoint(folder / "train-1.safetensors", key, every_s)


@pytest.fixture(scope="module")
def whole(tiny_folder):
    """The uninterrupted run of each kind: what came of it, the weights' hash, the rows."""
    made: dict[str, Any] = {}

    def run(kind):
        if kind not in made:
            use_threads(1)
            notes = Notes()
            made[kind] = (*trained(load_model(str(tiny_folder("gpt2"))), kind, notes=notes), notes.rows)
        return made[kind]

    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("saves", [{}, {3, 6, 10}, range(STEPS)], ids=["none", "some", "all"])
def test_killed_at_any_row_a_run_ends_with_the_bits_of_the_whole_one(tiny_lm, tmp_path, whole, kind, saves):
    done, weights, rows = whole(kind)
    for die_at in random.Random(f"{kind}{saves}").sample(range(len(rows)), 2):
        checkpoint = kept_in(tmp_path / str(die_at))
        first = Notes(frozenset(saves), die_at)
        with pytest.raises(Killed):
            trained(tiny_lm(), kind, checkpoint, first)
        taken, second = step_of(checkpoint), Notes()
        again, found = trained(tiny_lm(), kind, checkpoint, second)
        assert found == weights and told(again) == told(done), die_at
        assert read(first.rows + second.rows) == read(rows), die_at
        said = [r["step"] for r in first.rows if "saved" in r]
        assert again.resumed == taken and (not said or taken >= (said[-1],)), die_at
        assert not taken or second.rows[0] == {"resumed": taken[0]}


def step_of(checkpoint):
    """The step that the file says, as a tuple; () = there is none."""
    from safetensors import safe_open

    if not checkpoint.path.exists():
        return ()
    with safe_open(checkpoint.path, "pt") as file:
        return (json.loads(file.metadata()["state"])["done"]["steps"],)


@pytest.mark.parametrize("kind", ["all", "adamw"])
def test_a_run_may_be_killed_again_and_again(tiny_lm, tmp_path, whole, kind):
    done, weights, _ = whole(kind)
    checkpoint, dice, kills = kept_in(tmp_path, every_s=0), random.Random(kind), 0
    for _ in range(20):
        try:
            again, found = trained(tiny_lm(), kind, checkpoint, Notes(die_at=dice.randrange(1, 7)))
        except Killed:
            kills += 1
            continue
        break
    assert kills > 2 and found == weights and told(again) == told(done)
    assert 2 < len(again.resumed) <= kills and list(again.resumed) == sorted(again.resumed)


SCRIPT = """
import os, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from core.lm.load import load_model
from core.lm.threads import use_threads
import test_resume as t

class Loud(t.Notes):
    def record(self, row):
        super().record(row)
        print(row, flush=True)

use_threads(1)
load_model({model!r})  # all that is slow is done once, and each run is a fork of this process
for kind, folder in {jobs!r}:
    child = os.fork()
    if not child:
        print(os.getpid(), flush=True)
        t.trained(load_model({model!r}), kind, t.kept_in(Path(folder), every_s=0), Loud())
        print("whole", flush=True)
        os._exit(0)
    print("died by", os.waitpid(child, 0)[1], flush=True)
"""


def test_killed_processes_leave_what_the_next_one_goes_on_from(tiny_lm, tiny_folder, tmp_path, whole):
    dice, here = random.Random(0), Path(__file__).resolve()
    kinds = ["all", "dynamic", "kl"]
    jobs = [(kind, str(tmp_path / kind)) for kind in kinds for _ in range(2)]
    given = {"root": str(here.parents[3]), "here": str(here.parent), "model": str(tiny_folder("gpt2"))}
    code = SCRIPT.format(**given, jobs=jobs)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        for _ in jobs:
            pid = int(process.stdout.readline())
            for _ in range(dice.randrange(1, 7)):
                process.stdout.readline()
            time.sleep(dice.uniform(0, 0.02))  # anywhere: in a step, a validation, a write
            os.kill(pid, signal.SIGKILL)
            while not (line := process.stdout.readline()).startswith("died by"):
                assert line and line != "whole\n"
            assert line == f"died by {int(signal.SIGKILL)}\n"
    for kind in kinds:
        done, weights, _ = whole(kind)
        again, found = trained(tiny_lm(), kind, kept_in(tmp_path / kind, every_s=0))
        assert found == weights and told(again) == told(done) and again.resumed
        assert not list((tmp_path / kind).glob(".*.part")), "no write cut short lies there for ever"


@pytest.mark.parametrize("kind", ["all", "dynamic"])
def test_a_users_stop_goes_on_from_the_weights_of_the_stop_not_the_best_ones(tiny_lm, tmp_path, whole, kind):
    done, weights, _ = whole(kind)
    lm, checkpoint = tiny_lm(), kept_in(tmp_path)
    stopped, found = trained(lm, kind, checkpoint, Notes(stop_at=7))
    assert (
        stopped.interrupted
        and stopped.steps == 7
        and "stopped by the user after step 7" in stopped.stopped_early
    )
    again, found = trained(tiny_lm(), kind, checkpoint)
    assert not again.interrupted and again.resumed == (7,)
    assert found == weights and told(again) == told(done)


def test_best_weights_that_lie_behind_come_back_after_a_resumption(tiny_lm, tmp_path, whole):
    worse = {"lr": 0.5, "steps": 6, "patience": 100, "warmup": 0}  # every step harms
    done, weights = trained(tiny_lm(), "all", **worse)
    assert done.best_step < done.steps
    checkpoint = kept_in(tmp_path)
    trained(tiny_lm(), "all", checkpoint, Notes(stop_at=4), **worse)
    again, found = trained(tiny_lm(), "all", checkpoint, **worse)
    assert again.resumed == (4,) and found == weights and told(again) == told(done)


def test_a_finished_run_is_told_at_once(tiny_lm, tmp_path, whole):
    done, weights, _ = whole("all")
    checkpoint, notes = kept_in(tmp_path), Notes()
    trained(tiny_lm(), "all", checkpoint)
    again, found = trained(tiny_lm(), "all", checkpoint, notes)
    assert notes.rows == [{"resumed": done.steps}]
    assert found == weights and told(again) == told(done) and again.resumed == (done.steps,)


def test_early_stopping_counts_on_after_a_resumption(tiny_lm, tmp_path):
    worse = {"lr": 0.5, "steps": 40, "patience": 3, "validate_every": 1}
    done, weights = trained(tiny_lm(), "all", **worse)
    assert "no better validation" in done.stopped_early
    checkpoint = kept_in(tmp_path)
    trained(tiny_lm(), "all", checkpoint, Notes(stop_at=done.steps - 1), **worse)
    again, found = trained(tiny_lm(), "all", checkpoint, **worse)
    assert found == weights and told(again) == told(done) and again.resumed == (done.steps - 1,)


def breaking(step):
    """Make the objective's loss NaN at that step."""

    def change(objective):
        real, calls = objective.loss, []

        def loss(pairs):
            calls.append(pairs)
            terms = real(pairs)
            return Terms(terms.loss * math.nan, terms.parts, terms.tokens) if len(calls) == step else terms

        objective.loss = loss

    return change


def test_a_diverged_run_keeps_its_last_good_state_and_does_not_loop(tiny_lm, tmp_path):
    from safetensors import safe_open

    checkpoint, notes = kept_in(tmp_path), Notes()
    done, weights = trained(tiny_lm(), "all", checkpoint, change=breaking(4))
    assert done.steps == 3 and "not finite at step 4" in done.stopped_early and math.isnan(done.losses[3])
    good, _ = trained(tiny_lm(), "all", kept_in(tmp_path / "good"), steps=3)
    files = [safe_open(c.path, "pt") for c in (checkpoint, kept_in(tmp_path / "good"))]
    assert all(bool((files[0].get_tensor(k) == files[1].get_tensor(k)).all()) for k in files[1].keys())  # noqa: SIM118
    again, found = trained(tiny_lm(), "all", checkpoint, notes, change=breaking(1))
    assert notes.rows == [{"resumed": 4}], "the row of the step that failed stands"
    assert found == weights and again.stopped_early == done.stopped_early and math.isnan(again.losses[3])
    assert good.validations == again.validations[: len(good.validations)]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "text": lambda data: b"no checkpoint at all",
    "header": lambda data: data.replace(b"block_counts", b"block_counter"),
    "renamed": lambda data: data.replace(b"now/transformer.ln_f.bias", b"now/transformer.ln_x.bias"),
    "shape": lambda data: data.replace(b'"shape":[16,48]', b'"shape":[48,16]'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_dropped_and_the_run_begins_anew(tiny_lm, tmp_path, whole, damage):
    _, weights, rows = whole("all")
    checkpoint, notes = kept_in(tmp_path), Notes()
    trained(tiny_lm(), "all", checkpoint, Notes(stop_at=7))
    data = checkpoint.path.read_bytes()
    broken = DAMAGES[damage](data)
    assert broken != data
    checkpoint.path.write_bytes(broken)
    again, found = trained(tiny_lm(), "all", checkpoint, notes)
    assert found == weights and again.resumed == () and read(notes.rows) == read(rows)


@pytest.mark.parametrize("kind", ["all", "dynamic"])
def test_another_runs_file_is_dropped_though_its_weights_would_fit(tiny_lm, tmp_path, whole, kind):
    _, weights, _ = whole("dynamic")
    trained(tiny_lm(), kind, kept_in(tmp_path, key="other"), Notes(stop_at=7), lr=1e-2)
    again, found = trained(tiny_lm(), "dynamic", kept_in(tmp_path))
    assert found == weights and again.resumed == ()


def test_a_folder_in_its_place_is_no_checkpoint(tiny_lm, tmp_path):
    checkpoint = kept_in(tmp_path)
    movable = dict(tiny_lm().model.named_parameters())
    checkpoint.path.mkdir()
    assert Keeper(checkpoint, movable, SimpleNamespace(state={}), {}).take_up() is None


def test_what_a_kill_left_of_a_write_is_cleared_away(tiny_lm, tmp_path):
    checkpoint = kept_in(tmp_path)
    left, other = tmp_path / ".train-1.safetensors.0f.part", tmp_path / ".train-2.safetensors.0f.part"
    for path in (left, other):
        path.write_bytes(b"half of it")
    trained(tiny_lm(), "all", checkpoint, Notes(stop_at=1))
    assert not left.exists() and other.exists() and checkpoint.path.exists()


def test_only_what_moved_is_written(tiny_lm, tmp_path):
    from safetensors import safe_open

    lm, checkpoint = tiny_lm(), kept_in(tmp_path)
    trained(lm, "dynamic", checkpoint, Notes(stop_at=0))
    with safe_open(checkpoint.path, "pt") as file:
        assert list(file.keys()) == [], "before the first step the untouched model is all there is"
    done, _ = trained(lm, "dynamic", checkpoint, Notes(stop_at=1))
    with safe_open(checkpoint.path, "pt") as file:
        names = {key.split("/")[1] for key in file.keys()}  # noqa: SIM118
        assert json.loads(file.metadata()["state"])["done"]["steps"] == 1
    (block,) = done.block_counts
    assert names == {n for n in weights_of(lm.model) if n.startswith(f"transformer.h.{block}.")}


def test_writing_never_takes_more_than_its_share(tmp_path):
    keeper = Keeper(kept_in(tmp_path, every_s=5), {}, SimpleNamespace(state={}), {})
    keeper.last = time.perf_counter() - 6
    assert keeper.due()
    keeper.cost = 6 * SHARE * 2
    assert not keeper.due()
    keeper.last -= 7
    assert keeper.due()
    each = Keeper(kept_in(tmp_path, every_s=0), {}, SimpleNamespace(state={}), {})
    each.cost = 1e9
    assert each.due()


def slowly(objective):
    """Each step takes a tenth of a second more."""
    real = objective.loss
    objective.loss = lambda pairs: (time.sleep(0.1), real(pairs))[1]


def test_seconds_and_tokens_of_both_parts_are_told_and_none_twice(tiny_lm, tmp_path):
    checkpoint, notes = kept_in(tmp_path), Notes()
    whole, _ = trained(tiny_lm(), "all")
    first, _ = trained(tiny_lm(), "all", checkpoint, Notes(stop_at=6), change=slowly)
    second, _ = trained(tiny_lm(), "all", checkpoint, notes)
    assert second.tokens == whole.tokens > first.tokens and len(second.losses) == STEPS
    own = sum(r["step_ms"] for r in notes.rows if "loss" in r) / 1000
    assert first.seconds > 0.6 and second.seconds > 0.6 + own and second.peak_bytes >= first.peak_bytes


def test_settings_without_a_checkpoint_write_nothing(tiny_lm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained(tiny_lm(), "all")
    assert not list(tmp_path.iterdir()) and TrainingParams().optimizer == "rmsprop"
