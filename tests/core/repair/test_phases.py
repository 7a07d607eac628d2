"""What surrounds the training of a repair: several phases or none, a decoder, a watch, a stop."""

from __future__ import annotations

import json

import pytest

from core.lm.load import load_model
from core.repair import METHODS, repair
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Example

EXAMPLES = [
    Example(f"e{n}", prompt, "a kind answer", "a rude answer, and long")
    for n, prompt in enumerate(["The neighbour asks:", "", "At the gate", "Once more"])
]
QUICK = {"lr": 1e-3, "warmup": 0, "batch": 2, "steps": 3, "validate_every": 2}


class Notes:
    def __init__(self):
        self.rows = []

    def progress(self, done, total, what):
        pass

    def record(self, row):
        self.rows.append(row)

    def stopping(self):
        return False

    def asked(self, what):
        return False


def run(lm, name, folder, keep="none", **more):
    return repair(lm, name, EXAMPLES, [], folder=folder, keep=keep, **{"params": QUICK, **more})


@pytest.mark.parametrize("keep", ["full", "changed", "none"])
def test_dexperts_leaves_the_model_untouched_and_writes_two_side_models(tiny_lm, tmp_path, keep):
    lm, notes = tiny_lm(), Notes()
    start = weights_hash(snapshot(weights_of(lm.model)))
    result = run(lm, "dexperts", tmp_path, keep=keep, reporter=notes)
    folder = tmp_path / "model"
    assert weights_hash(snapshot(weights_of(lm.model))) == start
    assert weights_hash(snapshot(weights_of(load_model(str(folder)).model))) == start
    sides = {
        n: weights_hash(snapshot(weights_of(load_model(str(folder / n)).model))) for n in ("expert", "anti")
    }
    assert len({start, *sides.values()}) == 3
    assert json.loads((folder / "decoder.json").read_text())["kind"] == "dexperts"
    assert result.steps == 6 == len(result.losses) and result.weights not in (start, *sides.values())
    assert [r["phase"] for r in notes.rows if "loss" in r] == ["expert"] * 3 + ["anti"] * 3
    own = METHODS["dexperts"].params(**QUICK).model_dump(include=set(METHODS["sft"].params.model_fields))
    alone = tiny_lm()
    run(alone, "sft", tmp_path / "sft", params=own)
    assert weights_hash(snapshot(weights_of(alone.model))) == sides["expert"]
    anti = run(tiny_lm(), "task_negation", tmp_path / "anti", params=own).losses
    assert result.losses[3:] == anti, "the second phase starts from the untouched weights, too"


def test_rad_trains_nothing_and_says_how_to_decode(tiny_lm, tmp_path):
    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    result = run(lm, "rad", tmp_path, params={"beta": 5})
    assert (result.steps, result.losses, result.tokens_per_second) == (0, (), 0)
    assert weights_hash(snapshot(weights_of(lm.model))) == start
    assert weights_hash(snapshot(weights_of(load_model(str(tmp_path / "model")).model))) == start
    assert json.loads((tmp_path / "model" / "decoder.json").read_text())["beta"] == 5
    other = run(tiny_lm(), "rad", tmp_path / "b", params={"beta": 6})
    assert other.weights != result.weights, "what is decoded otherwise is another repair"


def test_a_stop_in_the_first_phase_leaves_the_later_ones_untouched(tiny_lm, tmp_path):
    class Stopping(Notes):
        def stopping(self):
            return any("loss" in row for row in self.rows)

    lm = tiny_lm()
    start = weights_hash(snapshot(weights_of(lm.model)))
    result = run(lm, "dexperts", tmp_path, reporter=Stopping())
    assert result.interrupted and result.steps == 1 and result.stopped_early.startswith("expert: stopped")
    anti = load_model(str(tmp_path / "model" / "anti"))
    assert weights_hash(snapshot(weights_of(anti.model))) == start


def test_a_watch_never_sees_adapters_when_it_keeps_the_model(tiny_lm, tmp_path):
    lm = tiny_lm()
    names = set(weights_of(lm.model))
    seen = []

    class Watching:
        every = 0

        def look(self, step):
            return {}

        def keep(self, step):
            seen.append(snapshot(weights_of(lm.model)))
            return "here"

    class Asking(Notes):
        def asked(self, what):
            return what == "save"

    def weights(**more):
        return run(lm, "sft", tmp_path, params=QUICK | {"scope": "lora"}, **more).weights

    watched = weights(watch=Watching(), reporter=Asking())
    assert len(seen) == 3 and all(set(kept) == names for kept in seen)
    assert weights_hash(seen[-1]) == watched, "what is kept at the last step is what the run ends with"
    lm = tiny_lm()
    assert weights() == watched, "keeping must not change the run"
