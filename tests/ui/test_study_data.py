"""Runs without a study become cells, their numbers the plane; words claim no more than is known."""

import numpy as np
import pandas as pd
import pytest

from core import pipeline
from core.pipeline.against import Against, Difference
from core.pipeline.study_numbers import FULL
from core.pipeline.study_results import Curve, CurvePoint
from core.values import Evaluation, EvaluationProtocol, Measure, Mix
from ui import compare_runs, study_curves, study_data, study_names, study_scores, study_views, trade_off_run
from ui.trade_off_marks import Axes, Dot, Mark
from ui.trade_off_words import sentence


@pytest.fixture(scope="module")
def of(small):
    group = pipeline.trade_off(small, "small")[0]
    return study_data.compared(small, None, group, [])


def test_runs_of_one_kind_are_one_arm_and_all_rows_are_no_strategy(of):
    arms = of.known.arms()
    assert [(a.strategy, len(a.cells)) for a in arms] == [("uniform", 2), (FULL, 1)]


def test_settings_that_differ_under_one_name_become_variants(of, small):
    runs = [r for r in of.group.runs if r.share < 0.5]
    longer = runs[0].manifest.spec.model_copy(update={"params": {"steps": 99}})
    twin = runs[0].manifest.model_copy(update={"spec": longer, "created": "2027"})
    changed = pipeline.Run("twin", runs[0].folder, twin, runs[0].evaluation)
    assert [c.method for c in study_data.cells_of(small, [*runs, changed])] == ["sft", "sft", "sft (2)"]


def test_the_full_data_run_may_take_more_steps_and_is_the_same_method(of, small):
    full = next(r for r in of.group.runs if r.share > 0.99)
    longer = full.manifest.spec.model_copy(update={"params": {"steps": 99}})
    run = pipeline.Run(
        full.id, full.folder, full.manifest.model_copy(update={"spec": longer}), full.evaluation
    )
    others = [r for r in of.group.runs if r.share < 0.5]
    assert {c.method for c in study_data.cells_of(small, [*others, run])} == {"sft"}


def test_the_plane_holds_percent_of_the_base_model(of):
    plane = study_data.plane(of, "TR", "perplexity:small")
    gains = {m.label: m.mean.gain.value for m in plane.marks}
    assert list(gains.values()) == pytest.approx([72.5, 87.5])
    assert [m.mean.loss.value for m in plane.marks] == pytest.approx([4.5, 10.0], abs=0.01)
    steps = [(0.0, 0.0), *((m.mean.loss.value, m.mean.gain.value) for m in plane.marks)]
    assert plane.stairs == steps
    assert plane.reference[0] == pytest.approx(10.0, abs=0.01)
    assert plane.hypervolume == pytest.approx(72.5 * 5.5, rel=0.01)


def test_reduction_told_in_points_has_the_sign_of_a_gain(of):
    measured = study_data.plane(of, "emt", "perplexity:small").marks
    assert [m.mean.gain.value for m in measured] == pytest.approx([29.0, 35.0], abs=0.1)


def test_a_number_is_named_with_what_it_was_measured_on():
    assert study_names.title("perplexity:wiki") == "Perplexity, wiki"
    assert study_names.loss("last_word_accuracy:wiki") == (
        "Last-word accuracy on wiki: lost, points",
        "points",
    )
    assert study_names.loss("refusal_safe:x")[0] == "Refusal of safe requests on x: more, points"


def measure(value, low=None, high=None, unit=""):
    return Measure(value=value, low=low, high=high, unit=unit)


def marked(label, gain, low, high):
    d = Dot(label, label, 0, measure(gain, low, high), measure(1.0, 0.5, 1.5))
    return Mark(label, label, "dpo", 10, False, d, (d,))


BASE = Evaluation(
    model="m",
    model_hash="",
    pool="p",
    pool_fingerprint="",
    split_hash="",
    scorer="s",
    scorer_hash="",
    protocol=EvaluationProtocol(),
    metrics={"toxicity_mean": measure(0.4)},
)


def said(*marks):
    plane = study_data.Plane(
        Axes("Reduction of mean toxicity, % of base", "Perplexity: increase"), list(marks), [], 0, (0, 0)
    )
    return sentence(plane, BASE)


def test_the_sentence_ranks_nothing_that_overlaps():
    words = said(marked("a", 50, 40, 60), marked("b", 45, 35, 55), marked("c", 10, 5, 15))
    assert (
        words.startswith("a has the largest reduction")
        and "Not told apart from it by these intervals: b." in words
    )


def test_arms_whose_seeds_mix_are_not_ranked_however_narrow_their_intervals():
    def arm(label, *values):
        dots = tuple(Dot(label, label, i, measure(v), measure(1.0)) for i, v in enumerate(values))
        middle = sum(values) / len(values)
        mean = Dot(label, label, 0, measure(middle, middle - 0.1, middle + 0.1), measure(1.0))
        return Mark(label, label, "dpo", 10, False, mean, dots)

    words = said(arm("a", 40, 50), arm("b", 39, 42), arm("c", 10, 12))
    assert "Not told apart from it by these intervals and seeds: b." in words


def test_an_effect_whose_interval_holds_zero_is_not_certain():
    assert "not certain" in said(marked("a", 5, -1, 11)) and "lies above 0" in said(marked("a", 5, 1, 9))
    assert "no point to draw" in said()


def curve(values, full, *, higher=True):
    points = tuple(CurvePoint(10 * (i + 1), 0.1 * (i + 1), measure(v), (v,)) for i, v in enumerate(values))
    return Curve("uniform", "dpo", points, None if full is None else measure(full), "TR", higher)


def test_enough_is_the_smallest_budget_and_empty_where_none_is():
    table = study_curves.enough([curve([0.5, 0.78, 0.9], 0.8), curve([0.1], 0.8), curve([0.1], None)], 0.05)
    assert table["rows"][0] == 20 and table["rows"][1:].isna().all()
    assert table["told"].tolist() == ["", "no budget of the study", "no full-data run"]


def test_verdicts_are_counted_and_changes_read_in_their_unit():
    share = measure(0.0271, 0.0134, 0.0436, "share of the first model's")
    rows = [Difference("perplexity:w", measure(1.0), measure(1.1), share, "worse")]
    assert compare_runs.told(Against("base", "x", rows), "this run") == "Of 1 numbers this run is worse in 1."
    assert compare_runs.change_words(share) == "+2.71 %"
    assert compare_runs.interval_words(share) == "+1.34 to +4.36 %"
    assert compare_runs.change_words(measure(-0.05)) == "-0.05"


def test_prompts_come_by_change_and_failed_continuations_do_not_count():
    sides = pd.DataFrame(
        {
            "prompt_row": [0, 0, 1, 1, 2],
            "first_toxicity": [0.9, 0.7, 0.1, 0.3, np.nan],
            "second_toxicity": [0.1, 0.1, 0.6, 0.6, 0.5],
        }
    )
    assert compare_runs.by_prompt(sides, "Most improved").index.tolist() == [0, 1]
    assert compare_runs.by_prompt(sides, "Most worsened").index.tolist() == [1, 0]
    assert compare_runs.by_prompt(sides, "Worst now")["change"].tolist() == pytest.approx([0.4, -0.7])


def test_quotas_never_ask_for_more_than_there_is_and_spend_the_budget(of, small):
    pool, recipe = (
        pipeline.pool(small, "small"),
        pipeline.load_selection(small, of.group.runs[0].manifest.selection),
    )
    made = trade_off_run.quota_recipe(pool, recipe.recipe, 20, {"spite": 0.9, "gossip": 0.1})
    table = made.params["table"]
    names, member = pool.categories()
    there = member[pipeline.eligibility(pool, "sft").rows].sum(axis=0)
    assert made.strategy == "blend" and made.budget.rows == 20 and sum(table.values()) == 20
    more = trade_off_run.quota_recipe(pool, recipe.recipe, 20, {"spite": 1.0, "gossip": 0.0001}).params[
        "table"
    ]
    assert sum(more.values()) == 20 and more["spite"] == there[names.index("spite")] < 20
    assert all(table[n] <= there[names.index(n)] for n in table) and set(table) == {"spite", "gossip"}


def test_the_newest_job_tells_what_became_of_a_cell(of):
    class Job:
        def __init__(self, name, state):
            self.kind, self.spec, self.state = "repair", {"name": name}, state

    class Cell:
        def __init__(self, name, run=None):
            self.run, self.spec = run, type("Spec", (), {"name": name})

    cells = [Cell("a", run=1), Cell("b"), Cell("c"), Cell("d"), Cell("e")]
    jobs = [
        Job("b", "failed"),
        Job("b", "queued"),
        Job("c", "queued"),
        Job("d", "running"),
        Job("a", "failed"),
    ]
    found = study_views.progress(cells, jobs)
    assert (found.finished, found.failed, found.queued, found.running, found.missing) == (1, 1, 1, 1, 1)


def test_one_method_alone_has_no_ratio_and_the_same_twice_none_either(of):
    assert study_scores.headline_frame(of.known, "sft", "dpo", "small").empty
    same = study_scores.headline_frame(of.known, "sft", "sft", "small")
    assert same["ratio of averages"].iloc[0] == pytest.approx(0.0) and same["pairs"].iloc[0] == 3


def test_a_repair_with_benign_rows_mixed_in_is_another_method(of, small):
    runs = [r for r in of.group.runs if r.share < 0.5]
    mixed = runs[0].manifest.spec.model_copy(update={"mix": Mix(rows=5)})
    twin = runs[0].manifest.model_copy(update={"spec": mixed, "created": "2027"})
    changed = pipeline.Run("twin", runs[0].folder, twin, runs[0].evaluation)
    assert [c.method for c in study_data.cells_of(small, [*runs, changed])] == ["sft", "sft", "sft (2)"]


def test_a_ratio_of_one_seed_is_told_with_its_doubt():
    row = {"pairs": 1, "low": 1.0, "high": 2.0, "ratio of averages": 43.6}
    frame = pd.DataFrame([row | {"seeds": 1}] * 2)
    assert "one seed" in study_scores.said(frame, "irepair", "dpo")
    frame = pd.DataFrame([row | {"seeds": 3}, row | {"seeds": 3, "low": -1.0}])
    words = study_scores.said(frame, "irepair", "dpo")
    assert "43.6 % more effective and" in words and words.count("not distinguishable") == 1
