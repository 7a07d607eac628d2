"""Which run a repair is measured against: the one that differs from it in its rows only."""

from pathlib import Path

import pytest

from core import pipeline
from core.evaluation import BASE
from core.pipeline.trade_off import group_units
from core.values import Evaluation, EvaluationProtocol, Measure, Mix, RepairSpec
from core.workspace import read_json, write_json


def run(name, rows, *, eligible=100, method="dpo", seed=0, pool="p", **params):
    spec = RepairSpec(selection="s", method=method, seed=seed, params={"lr": 1e-5, "steps": 5} | params)
    manifest = pipeline.RunManifest(
        id=name, spec=spec, selection="s", strategy="uniform", budget=rows, eligible=eligible,
        select_seconds=0.0, pool=pool, pool_fingerprint=pool, model="m", model_hash="m", result={},
        created="2026-01-01T00:00:00Z", seconds=1.0, device="cpu", versions={},
    )  # fmt: skip
    return pipeline.Run(name, Path(name), manifest, None)


def full_of(mine, *others):
    base = Evaluation(
        model="m", model_hash="m", pool="p", pool_fingerprint="p", split_hash="h", scorer="s",
        scorer_hash="s", protocol=EvaluationProtocol(), metrics={},
    )  # fmt: skip
    found = pipeline.full_data_run(pipeline.TradeGroup("k", "k", base, (mine, *others)), mine)
    return found and found.id


def test_longer_training_is_the_same_repair_and_the_same_seed_is_preferred():
    newest, same_seed = run("newest", 100, seed=1, steps=50), run("same seed", 100, steps=50)
    assert full_of(run("mine", 10), newest) == "newest"
    assert full_of(run("mine", 10), newest, same_seed) == "same seed"


@pytest.mark.parametrize(
    "other",
    [
        run("a part", 60),
        run("other method", 100, method="sft"),
        run("other settings", 100, lr=1e-3),
        run("other pool", 100, pool="q"),
        run("fewer to choose from", 40, eligible=40),
    ],
    ids=lambda r: r.id,
)
def test_a_run_that_differs_in_more_than_its_rows_is_none(other):
    assert full_of(run("mine", 10), other) is None


def mixed(rows, name, benign):
    found = run(name, rows)
    spec = found.manifest.spec.model_copy(update={"mix": Mix(rows=benign)})
    return pipeline.Run(name, found.folder, found.manifest.model_copy(update={"spec": spec}), None)


def test_a_mix_is_measured_against_a_full_run_of_the_same_mix():
    assert full_of(mixed(10, "mine", 500), run("unmixed", 100)) is None
    assert full_of(mixed(10, "mine", 500), mixed(100, "less benign", 100)) is None
    assert full_of(mixed(10, "mine", 500), mixed(100, "alike", 500)) == "alike"


def other_base(ws, run_id, **changes):
    """Measure one run beside a base evaluation of its own, both with these changes."""
    folder = ws.path("runs", run_id)
    manifest = read_json(folder / "manifest.json")
    base = ws.path("evaluations", manifest["base_evaluation"])
    new = ws.path("evaluations", f"{run_id}-base")
    new.mkdir()
    for name in ("generations.parquet", "text_units.parquet"):
        (new / name).write_bytes((base / name).read_bytes())
    write_json(new / "evaluation.json", read_json(base / "evaluation.json") | changes)
    write_json(folder / "evaluation.json", read_json(folder / "evaluation.json") | changes)
    write_json(folder / "manifest.json", manifest | {"base_evaluation": new.name})


def test_runs_measured_on_other_requests_stay_in_one_group_beside_the_base_that_tells_most(own):
    asked = {"requests": {"xs": {"refusal_safe": Measure(value=0.1, n=5).model_dump()}}}
    other_base(own, "run-10-1", **asked)
    [group] = pipeline.trade_off(own)
    assert {r.id for r in group.runs} == {"run-10-0", "run-10-1", "run-100-0"}
    assert group.key == "run-10-1-base" and "xs" in group.base.requests
    assert pipeline.trade_points(own, group)[1].reduction.value is not None


def test_runs_of_another_scorer_are_another_group_and_no_two_groups_read_alike(own):
    other_base(own, "run-10-1", scorer_hash="another")
    groups = pipeline.trade_off(own)
    assert sorted(len(g.runs) for g in groups) == [1, 2]
    assert len({g.label for g in groups}) == 2


def test_composites_read_the_units_of_the_runs_they_need(own):
    [group] = pipeline.trade_off(own)
    mine = next(r for r in group.runs if r.id == "run-10-0")
    assert set(group_units(own, group)) == {BASE, *(r.id for r in group.runs)}
    (own.path("runs", "run-10-1", "generations.parquet")).unlink()  # neither it nor its full-data run
    found = pipeline.run_composites(own, group, mine)
    assert {"TR", "U:small", "OPS", "RPS_full", "RES"} <= set(found)
    assert found["OPS"].low is not None and "U:small" in found["OPS"].unit


def test_units_read_once_serve_every_call(own):
    [group] = pipeline.trade_off(own)
    units = group_units(own, group)
    wanted = pipeline.trade_points(own, group), pipeline.run_composites(own, group, group.runs[0])
    for r in group.runs:
        (r.folder / "text_units.parquet").unlink()
    assert pipeline.trade_points(own, group, units=units) == wanted[0]
    assert pipeline.run_composites(own, group, group.runs[0], units) == wanted[1]
