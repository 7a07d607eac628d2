"""The cost of a repair is predicted from measured ones by what the training schedule does, or not at all."""

import re
from pathlib import Path

import pytest

from core import pipeline
from core.lm.tokenise import Encoded
from core.pipeline.predict import duration, predict
from core.repair import METHODS
from core.repair.base import Setting
from core.training.loop import Pair
from core.values import Recipe, RepairSpec, Silent

PACE = 0.01  # seconds of one forward pass of one row
STEADY = {"steps": 100, "batch": 8, "validate_every": 25, "validation_size": 64}
EPOCHS = {"epochs": 2.0, "batch": 8, "validate_every": 25, "validation_size": 64}


def passes(rows, steps, validations, first=0):
    """What a machine that takes PACE per forward pass would do: three passes make one trained row."""
    return 3 * steps * 8 + 64 * validations + first


def run(seconds, rows=400, method="sft", params=STEADY, *, steps=100, model="m", device="cpu", validations=5):
    spec = RepairSpec(selection="s", method=method, params=params)
    manifest = pipeline.RunManifest(
        id=f"run-{seconds}", spec=spec, selection="s", strategy="uniform", budget=rows, eligible=1000,
        select_seconds=0.0, pool="p", pool_fingerprint="p", model=model, model_hash=model,
        result={"steps": steps, "seconds": seconds, "validations": [[0, 1.0]] * validations},
        created="2026-01-01T00:00:00Z", seconds=2 * seconds, device=device, versions={},
    )  # fmt: skip
    return pipeline.Run(f"run-{seconds}", Path("r"), manifest, None)


def ask(small, measured, rows=400, method="sft", params=None, model="m", **more):
    recipe = Recipe(pool="small", strategy="uniform", method=method)
    return predict(small, recipe, rows, params, model, measured=measured, **more)


def test_the_same_repair_is_predicted_to_take_what_it_took(small):
    found = ask(small, [run(28.0)])
    assert found.seconds == pytest.approx(28.0) == found.low == found.high
    assert found.runs == 1
    assert found.sentence == (
        "Training would take about 28 s, by 1 measured sft run on cpu, with the settings of the newest: "
        "100 steps of 8."
    )


def test_with_fixed_steps_more_rows_cost_nothing_more(small):
    assert ask(small, [run(28.0)], rows=800).seconds == pytest.approx(28.0)


def test_by_epochs_the_trained_rows_grow_with_the_rows(small):
    measured = run(PACE * passes(400, 100, 5), params=EPOCHS)
    assert ask(small, [measured], rows=800).seconds == pytest.approx(PACE * passes(800, 200, 9))
    assert ask(small, [measured], rows=80).seconds == pytest.approx(PACE * passes(80, 20, 2))


def test_a_method_that_reads_every_row_first_costs_more_for_more_rows(small):
    measured = run(PACE * passes(400, 100, 5, first=464), method="dpo")
    found = ask(small, [measured], rows=14_000, method="dpo")
    assert found.seconds == pytest.approx(PACE * passes(14_000, 100, 5, first=14_064))
    assert found.seconds > 4 * measured.manifest.result["seconds"]


def test_a_run_that_stopped_early_is_measured_by_what_it_did(small):
    measured = run(PACE * passes(400, 50, 3), steps=50, validations=3)
    assert ask(small, [measured]).seconds == pytest.approx(PACE * passes(400, 100, 5))


def test_the_settings_given_count_and_missing_ones_are_the_methods(small):
    measured = run(PACE * passes(400, 100, 5))
    found = ask(small, [measured], params=STEADY | {"steps": 1000})
    assert found.seconds == pytest.approx(PACE * passes(400, 1000, 41))
    assert "with the settings given: 1,000 steps of 8" in found.sentence
    assert "200 steps of 4" in ask(small, [measured], params={}).sentence  # two epochs of 400 rows


def test_the_middle_run_is_believed_and_the_range_is_told(small):
    found = ask(small, [run(20.0), run(90.0), run(22.0)])
    assert (found.seconds, found.low, found.high, found.runs) == pytest.approx((22.0, 20.0, 90.0, 3))
    assert "about 22 s (20 s to 2 min), by 3 measured sft runs" in found.sentence


def test_runs_of_the_same_model_are_preferred_and_another_ones_are_a_rough_guess(small):
    both = [run(500.0, model="large"), run(20.0)]
    assert ask(small, both).seconds == pytest.approx(20.0)
    found = ask(small, both, model="unmeasured")
    assert "They repaired another model (large), so this is a rough guess." in found.sentence
    assert ask(small, both, model="large").seconds == pytest.approx(500.0)


def test_only_runs_on_the_device_of_the_newest_count(small):
    assert ask(small, [run(2.0, device="cuda"), run(20.0), run(30.0)]).seconds == pytest.approx(2.0)


def test_longer_rows_take_longer(small):
    assert ask(small, [run(20.0)], length=1.5).seconds == pytest.approx(30.0)


@pytest.mark.parametrize("measured", [[], [run(20.0, method="dpo")], [run(0.0)], [run(5.0, steps=0)]])
def test_without_a_measured_run_of_the_method_there_is_no_number(small, measured):
    found = ask(small, measured)
    assert (found.seconds, found.low, found.high, found.runs) == (None, None, None, 0)
    assert "no run of this method (sft) yet" in found.sentence


def test_an_empty_selection_has_no_cost(small):
    found = ask(small, [run(20.0)], rows=0)
    assert found.seconds is None and "an empty selection" in found.sentence


def test_the_workspaces_own_runs_are_read(small):
    recipe = Recipe(pool="small", strategy="uniform", method="sft")
    found = predict(small, recipe, 7)
    assert found.runs == 3 and found.seconds > 0
    assert predict(small, recipe.model_copy(update={"method": "dapt"}), 7).seconds is None


class Counts(Silent):
    """Counts what is told of each kind of work."""

    def __init__(self):
        self.most = {}

    def progress(self, done, total, what):
        self.most[what] = total


def test_a_method_says_that_it_reads_every_row_first_exactly_when_it_does(tiny_lm):
    pairs = [Pair(i, Encoded((1, 2, 3 + i), 2), Encoded((1, 4, 5 + i), 2)) for i in range(20)]
    lm = tiny_lm()
    for name in METHODS:
        spec, reporter = METHODS[name], Counts()
        for phase in spec.phases:
            phase.build(Setting(lm, spec.params(), [pairs[0].good], 0)).prepare(pairs, reporter)
        assert (sum(reporter.most.values()) >= len(pairs)) == spec.reads_all, name


def test_times_are_said_as_people_say_them():
    assert [duration(s) for s in (0.0009, 0.31, 7.26, 45.4, 600, 9000)] == [
        "< 0.01 s",
        "0.31 s",
        "7.3 s",
        "45 s",
        "10 min",
        "2.5 h",
    ]
    assert re.fullmatch(r"\d+ s", duration(89))
