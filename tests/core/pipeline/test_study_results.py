"""Curves, fronts and budgets of studies laid down by hand, where every number can be worked out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.evaluation import composites
from core.evaluation.continued import NO_TEXT
from core.evaluation.metrics.composite import Cost
from core.pipeline.study_numbers import FULL, PROMPTS_ONLY, Numbers
from core.pipeline.study_results import (
    Curve,
    CurvePoint,
    curves,
    front,
    metrics,
    smallest_budget,
    utility_metrics,
)
from core.pipeline.study_table import table
from core.statistics import wilson
from core.values import Measure
from core.workspace import write_json, write_parquet

BASE = ([0.4, 0.6, 0.2, 0.8], [1.0, 1.2, 0.8])  # mean 0.5; perplexity e


def shares(toxicity, added, base=BASE):
    """Every prompt's toxicity times a share, every document's surprise and a bit more."""
    return [t * toxicity for t in base[0]], [n + added for n in base[1]]


PLACES = {
    ("saps", "dpo", 10, 0): shares(0.5, 0.1),
    ("saps", "dpo", 10, 1): shares(0.3, 0.1),
    ("saps", "dpo", 40, 0): shares(0.2, 0.2),
    ("saps", "dpo", 40, 1): shares(0.2, 0.2),
    ("uniform", "dpo", 10, 0): shares(0.6, 0.3),
    ("all", "dpo", 100, 0): shares(0.1, 0.4),
}


@pytest.fixture
def known(grid):
    ws, cells = grid(BASE, PLACES)
    return Numbers(ws, cells)


def of(curves, strategy):
    return next(c for c in curves if c.strategy == strategy)


def test_a_curve_is_the_mean_over_seeds_at_every_budget_and_the_full_run_beside(known):
    saps = of(curves(None, None, "toxicity_mean", known), "saps")
    assert [(p.budget_rows, p.share, p.seeds) for p in saps.points] == [
        (10, 0.1, pytest.approx((0.25, 0.15))),
        (40, 0.4, pytest.approx((0.1, 0.1))),
    ]
    assert [p.value.value for p in saps.points] == pytest.approx([0.2, 0.1])
    assert saps.full.value == pytest.approx(0.05) and saps.full_rows == 100
    assert not saps.higher_is_better and saps.points[0].value.n == 4
    assert saps.points[0].value.note == PROMPTS_ONLY


def test_a_reduction_that_is_the_same_for_every_prompt_has_no_width_over_prompts(known):
    point = of(curves(None, None, "TR", known), "saps").points[1]
    assert (point.value.low, point.value.value, point.value.high) == pytest.approx((0.8, 0.8, 0.8))
    absolute = of(curves(None, None, "toxicity_mean", known), "saps").points[1]
    assert absolute.value.high - absolute.value.low > 0.05  # not paired with the base, as no base is in it


def test_seeds_spread_does_not_enter_the_interval_over_prompts(known):
    point = of(curves(None, None, "TR", known), "saps").points[0]
    assert point.seeds == pytest.approx((0.5, 0.7))
    assert (point.value.low, point.value.high) == pytest.approx((0.6, 0.6))


def test_the_smallest_budget_is_the_first_that_comes_near_enough(known):
    saps = of(curves(None, None, "TR", known), "saps")  # 0.6 at 10 rows, 0.8 at 40, 0.9 with all
    assert smallest_budget(saps, 0.35) == 10
    assert smallest_budget(saps, 0.12) == 40
    assert smallest_budget(saps, 0.05) is None
    toxic = of(curves(None, None, "toxicity_mean", known), "saps")  # 0.2, 0.1; 0.05: lower is better
    assert smallest_budget(toxic, 1.0) == 40
    assert smallest_budget(toxic, 3.0) == 10


def test_a_budget_better_than_full_data_is_enough_whatever_epsilon():
    point = CurvePoint(5, 0.05, Measure(value=0.9), (0.9,))
    assert smallest_budget(Curve("s", "m", (point,), Measure(value=0.8)), 0.0) == 5
    lower = Curve("s", "m", (point,), Measure(value=0.8), higher_is_better=False)
    assert smallest_budget(lower, 0.0) is None
    assert smallest_budget(Curve("s", "m", (point,), None), 0.5) is None


def test_the_front_is_stated_with_its_reference_and_area(known):
    found = front(None, None, "perplexity:normal", known)
    costs = {p.label: (p.reduction.value, p.cost.value) for p in found.points}
    e = np.expm1([0.1, 0.2, 0.3, 0.4])
    assert costs["dpo · saps, 10 rows"] == pytest.approx((0.6, e[0]))
    assert costs["dpo · all rows (100)"] == pytest.approx((0.9, e[3]))
    assert [found.points[i].rows for i in found.on_front] == [10, 40, 100]  # uniform is beaten
    assert found.reference == pytest.approx((0.0, e[3]))
    assert found.hypervolume == pytest.approx(0.6 * (e[3] - e[0]) + 0.2 * (e[3] - e[1]))


def test_composites_are_those_of_the_specification(known):
    cell = next(c for c in known.cells if c.label == "saps-dpo-10-0")
    full = next(c for c in known.cells if c.full)
    wanted = composites(
        known.base,
        cell.run.evaluation,
        full.run.evaluation,
        utilities={"U:normal": "normal"},
        cost=Cost(60.0, 300.0, 1000.0),
        share=0.1,
    )
    for name, measure in wanted.items():
        assert known.value(cell, name).value == pytest.approx(measure.value), name
        assert known.value(cell, name).unit == measure.unit


def test_without_a_full_data_run_what_needs_it_is_not_there(grid):
    ws, cells = grid(BASE, {("saps", "dpo", 10, 0): shares(0.5, 0.1)})
    alone = Numbers(ws, cells)
    for name in ("RPS_full", "RES", "RES_data"):
        assert alone.value(cells[0], name).value is None, name
    assert alone.value(cells[0], "OPS").value is not None


def test_the_full_data_run_of_the_same_seed_comes_first(grid):
    places = {("all", "dpo", 100, i): shares(0.1 + i / 5, 0.1) for i in (0, 1)}
    places |= {("a", "dpo", 10, i): shares(0.3, 0.1) for i in (0, 1, 2)}
    ws, cells = grid(BASE, places)
    found = Numbers(ws, cells).draws("RPS_full")
    assert found["all-dpo-100-0"][0] == found["all-dpo-100-1"][0] == 1.0
    assert found["a-dpo-10-1"][0] == pytest.approx(1.0)
    assert found["a-dpo-10-0"][0] == found["a-dpo-10-2"][0] < 0.9  # seed 2 has none of its own


def test_a_diverged_run_has_no_cost_and_an_ops_of_zero(grid):
    ws, cells = grid(BASE, {("saps", "dpo", 10, 0): ([0.1] * 4, [1.0, np.inf, 1.0])})
    broken = Numbers(ws, cells)
    assert broken.value(cells[0], "OPS").value == 0
    assert broken.value(cells[0], "cost of perplexity:normal").value is None
    assert front(None, None, "perplexity:normal", broken).points == []


def test_a_seed_that_diverged_is_left_out_of_a_mean_aloud(grid):
    broken = ([0.1] * 4, [1.0, np.inf, 1.0])
    ws, cells = grid(BASE, {("a", "dpo", 10, 0): broken, ("a", "dpo", 10, 1): shares(0.5, 0.1)})
    found = Numbers(ws, cells)
    cost = found.over_seeds(found.arms()[0], "cost of perplexity:normal")
    assert cost.value == pytest.approx(np.expm1(0.1))
    assert "1 of 2 seeds have no finite value and are left out" in cost.note
    assert found.over_seeds(found.arms()[0], "TR").note == PROMPTS_ONLY


def test_a_run_whose_prompts_failed_is_measured_on_those_it_has(grid):
    places = {
        ("a", "dpo", 10, 0): ([0.1, np.nan, 0.1, np.nan], BASE[1]),
        ("b", "dpo", 10, 0): shares(0.5, 0.0),
    }
    ws, cells = grid(BASE, places)
    found = Numbers(ws, cells).draws("toxicity_mean")
    assert found["a-dpo-10-0"][0] == pytest.approx(0.1)
    assert found["base"][0] == pytest.approx(0.5) and found["b-dpo-10-0"][0] == pytest.approx(0.25)


def test_runs_measured_otherwise_are_left_out_with_a_reason(grid):
    ws, cells = grid(BASE, PLACES)
    other = cells[0].run.evaluation.model_copy(update={"scorer_hash": "another"})
    strange = Numbers(ws, [_measured(cells[0], other), *cells[1:]])
    assert len(strange.cells) == len(cells) - 1
    assert "saps-dpo-10-0 is left out" in strange.left_out[0] and "scorer" in strange.left_out[0]


def _measured(cell, evaluation):
    return replace(cell, run=replace(cell.run, evaluation=evaluation))


def test_the_table_has_one_row_per_run_with_bounds_and_what_measured_it(known):
    frame = table("mine", known)
    assert len(frame) == len(PLACES) and frame["run"].is_unique
    row = frame.set_index("run").loc["saps-dpo-10-1"]
    assert (row["study"], row["strategy"], row["rows"], row["seed"]) == ("mine", "saps", 10, 1)
    assert row["TR"] == pytest.approx(0.7) and row["TR.low"] == pytest.approx(0.7)
    assert row["perplexity:normal"] == pytest.approx(np.exp(1.1)) and row["perplexity:normal.n"] == 3
    assert row["repair_seconds"] == 300.0 and row["scorer"] == "s"
    assert "Winnow definition v1 (TR, U:normal)" in row["definition"]
    assert frame[frame["full"]]["strategy"].tolist() == [FULL]


def test_what_can_be_drawn_names_every_text_and_the_composites(known):
    assert utility_metrics(known) == ["perplexity:normal"]
    assert {"toxicity_mean", "TR", "U:normal", "OPS", "RES"} <= set(metrics(known))


def test_nothing_measured_draws_nothing(empty):
    nothing = Numbers(empty, [])
    assert nothing.arms() == [] and curves(None, None, "OPS", nothing) == []
    assert front(None, None, "perplexity:normal", nothing).points == []
    assert table("x", nothing).empty


def test_a_decoder_without_probabilities_is_not_a_diverged_model(grid):
    ws, cells = grid(BASE, PLACES)
    nothing = {"normal": {"perplexity": Measure(value=None, note=NO_TEXT)}}
    steered = cells[0].run.evaluation.model_copy(update={"texts": nothing})
    write_parquet(cells[0].run.folder / "text_units.parquet", _no_units(cells[0]))
    found = Numbers(ws, [_measured(cells[0], steered), *cells[1:]])
    names = {c.run.id for c in found.cells}
    assert found.value(cells[0], "OPS").value is None or cells[0].run.id not in names
    assert cells[0].run.id in names, "toxicity is still comparable"
    assert found.value(_measured(cells[0], steered), "TR").value == pytest.approx(0.5)
    assert found.value(_measured(cells[0], steered), "U:normal").value is None


def _no_units(cell):
    return pd.read_parquet(cell.run.folder / "text_units.parquet").iloc[:0]


def test_bits_per_byte_and_strided_perplexity_come_from_the_windows_that_they_are_told_of(grid):
    ws, cells = grid(BASE, {("a", "dpo", 10, 0): shares(0.5, 0.1)})
    for folder in (cells[0].run.folder, ws.find("evaluations", "base")):
        units = pd.read_parquet(folder / "text_units.parquet")
        units["nll"] = units["nll"].where(units["windows"] == "disjoint", units["nll"] / 2)
        write_parquet(folder / "text_units.parquet", units)
    found = Numbers(ws, cells)
    nats = 1.1  # per token of ten; half of it where every token has context
    assert found.draws("perplexity:normal")["a-dpo-10-0"][0] == pytest.approx(np.exp(nats))
    assert found.draws("perplexity_strided:normal")["a-dpo-10-0"][0] == pytest.approx(np.exp(nats / 2))
    bits = nats / 2 * 10 / 20 / np.log(2)
    assert found.draws("bits_per_byte:normal")["a-dpo-10-0"][0] == pytest.approx(bits)


def test_a_rate_of_one_seed_keeps_the_interval_that_suits_it(grid):
    ws, cells = grid(BASE, {("a", "dpo", 10, 0): ([0.1] * 4, BASE[1])})
    low, high = wilson(0, 4)
    rate = Measure(value=0.0, low=low, high=high, n=4)
    run = cells[0].run.evaluation
    known = Numbers(ws, [_measured(cells[0], run.model_copy(update={"metrics": run.metrics | {"tp": rate}}))])
    assert known.over_seeds(known.arms()[0], "tp").high == pytest.approx(high)  # no toxic prompt of four


def test_a_budget_whose_seed_diverged_is_not_enough(grid):
    broken = ([0.1] * 4, [1.0, np.inf, 1.0])
    places = {("a", "dpo", 10, 0): broken, ("a", "dpo", 10, 1): shares(0.5, 0.1)}
    places |= {("a", "dpo", 40, i): shares(0.5, 0.1) for i in (0, 1)}
    ws, cells = grid(BASE, places | {("all", "dpo", 100, 0): shares(0.5, 0.1)})
    found = curves(None, None, "perplexity:normal", Numbers(ws, cells))
    assert smallest_budget(found[0], 0.05) == 40


def test_the_base_that_tells_most_stands_for_runs_of_several_specs(grid):
    ws, cells = grid(BASE, PLACES)
    base = Numbers(ws, cells).base
    more = base.model_copy(update={"metrics": base.metrics | {"emt": Measure(value=0.8, n=4)}})
    write_json(ws.path("evaluations", "more", "evaluation.json"), more)
    told = cells[0].run.manifest.model_copy(update={"base_evaluation": "more"})
    mixed = [replace(cells[0], run=replace(cells[0].run, manifest=told)), *cells[1:]]
    assert Numbers(ws, mixed).base_key == "more"


def test_a_finished_run_that_was_not_measured_has_its_row_in_the_table(grid):
    ws, cells = grid(BASE, PLACES)
    frame = table("mine", Numbers(ws, [_measured(cells[0], None), *cells[1:]])).set_index("run")
    assert len(frame) == len(PLACES) and not frame.loc["saps-dpo-10-0", "comparable"]
    assert np.isnan(frame.loc["saps-dpo-10-0", "TR"]) and frame.loc["saps-dpo-10-0", "tokens"] == 5
    assert frame["comparable"].sum() == len(PLACES) - 1
