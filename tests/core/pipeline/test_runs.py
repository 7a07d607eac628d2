"""A repair from recipe to a point on the chart, for real, on the demo's model, in seconds."""

import json
import shutil

import pytest

from core import pipeline
from core.errors import BadInput, BadModel, MissingInput
from core.pipeline.choose import selecting_seconds
from core.pipeline.evaluations import evaluation_key
from core.pipeline.mixes import training
from core.values import Budget, EvaluationProtocol, EvaluationSpec, NormalText, Recipe, RepairSpec, Silent

LOOK = EvaluationProtocol(name="look", prompts=8, samples=4)
MEASURED = EvaluationSpec(pool="demo-prompts", protocol=LOOK, texts=("demo-normal",))


def spec(method="dpo", **params) -> RepairSpec:
    return RepairSpec(
        selection=Recipe(pool="demo", strategy="uniform", budget=Budget(rows=16), method=method),
        method=method,
        params={"lr": 3e-5, "steps": 4, "batch": 8, "warmup": 1, "validation_size": 4} | params,
        normal=NormalText(texts=16, tokens=16),
        evaluation=MEASURED,
        device="cpu",
    )


def test_a_repair_ends_as_a_point_beside_its_base(demo):
    run = pipeline.run_repair(demo, spec())
    assert run.manifest.budget == 16
    assert run.manifest.strategy == "uniform"
    assert (run.folder / "model").is_dir()
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "loss" in r] == [1, 2, 3, 4] or len(
        [r for r in rows if "loss" in r]
    ) == 4
    [group] = pipeline.trade_off(demo)
    assert [r.id for r in group.runs] == [run.id]
    base, point = pipeline.trade_points(demo, group)
    assert base.is_base
    assert point.reduction.n == 8
    assert point.reduction.low <= point.reduction.value <= point.reduction.high
    assert run.label in pipeline.trade_off_text(demo, group)
    scores = pipeline.run_composites(demo, group, run)
    assert scores["RES"].value is None
    assert "no full-data run" in scores["RES"].note
    assert "Winnow definition v1" in scores["OPS"].unit


def test_the_same_spec_is_not_run_twice_and_gives_the_same_weights(demo, tmp_path):
    from core.workspace import Workspace

    first = pipeline.run_repair(demo, spec())
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    again = pipeline.run_repair(demo, spec())
    assert again.id == first.id
    assert (again.folder / "manifest.json").stat().st_mtime_ns == stamp
    elsewhere = pipeline.run_repair(Workspace.open(tmp_path / "other"), spec())
    assert elsewhere.id == first.id
    assert elsewhere.manifest.result["weights"] == first.manifest.result["weights"]
    assert elsewhere.evaluation.metrics == first.evaluation.metrics


def test_a_method_with_kl_samples_its_normal_text_once(demo):
    run = pipeline.run_repair(demo, spec("irepair_kl", steps=2))
    assert run.manifest.result["block_counts"]
    [kept] = (demo.root / "normal").glob("*.json")
    stamp = kept.stat().st_mtime_ns
    pipeline.run_repair(demo, spec("dapt_kl", steps=2))
    assert [p.stat().st_mtime_ns for p in (demo.root / "normal").glob("*.json")] == [stamp]


def test_the_repaired_model_can_be_measured_by_its_runs_name(demo):
    run = pipeline.run_repair(demo, spec())
    found = pipeline.run_evaluation(demo, MEASURED.model_copy(update={"model": f"run:{run.id}"}))
    assert found.metrics == run.evaluation.metrics


def test_what_cannot_be_repaired_is_told_before_any_work(demo):
    with pytest.raises(BadModel, match="there is no model named '/nowhere'"):
        pipeline.run_repair(demo, spec().model_copy(update={"model": "/nowhere"}))
    empty = Recipe(pool="demo", strategy="uniform", budget=Budget(rows=0))
    with pytest.raises(MissingInput, match="is empty"):
        pipeline.run_repair(demo, spec().model_copy(update={"selection": empty}))
    with pytest.raises(BadInput, match="repair method 'dpo' has no setting 'stpes'"):
        pipeline.run_repair(demo, spec(stpes=3))
    textless = MEASURED.model_copy(update={"texts": ("demo-prompts",)})
    with pytest.raises(MissingInput, match="'demo-prompts' has no held-out text"):
        pipeline.run_repair(demo, spec().model_copy(update={"evaluation": textless}))
    assert pipeline.runs(demo) == []


class StopsAtOnce(Silent):
    """Asks for a clean stop from the first step on."""

    def stopping(self) -> bool:
        return True

    def asked(self, what):
        return False


def test_a_clean_stop_keeps_the_best_weights_and_is_no_answer_to_the_whole_run(demo):
    stopped = pipeline.run_repair(demo, spec(), StopsAtOnce())
    assert stopped.manifest.result["steps"] < 4
    assert stopped.manifest.result["stopped_early"]
    assert (stopped.folder / "model").is_dir()
    assert stopped.evaluation is None  # so it is no point of the trade-off
    whole = pipeline.run_repair(demo, spec())
    assert whole.id == stopped.id
    assert whole.manifest.result["steps"] == 4
    assert whole.evaluation is not None


def test_a_run_that_dropped_its_model_is_made_again_when_the_model_is_wanted(demo):
    unmeasured = spec().model_copy(update={"evaluation": None})
    bare = pipeline.run_repair(demo, unmeasured.model_copy(update={"keep_model": "none"}))
    assert not (bare.folder / "model").exists()
    again = pipeline.run_repair(demo, unmeasured)
    assert again.id == bare.id
    assert (again.folder / "model").is_dir()
    assert again.manifest.result["weights"] == bare.manifest.result["weights"]


def test_another_scorer_under_the_same_name_is_another_run(demo):
    folder = demo.root / "models" / "lab-scorer"
    shutil.copytree(demo.shipped / "models" / "scorer", folder)
    measured = MEASURED.model_copy(update={"scorer": "lab-scorer"})
    asked = spec(steps=1).model_copy(update={"evaluation": measured})
    first = pipeline.run_repair(demo, asked)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"trained": "again"}))
    again = pipeline.run_repair(demo, asked)
    assert again.id != first.id
    assert again.evaluation.scorer_hash != first.evaluation.scorer_hash


def test_the_base_is_found_by_its_texts_names_too(demo):
    own = MEASURED.model_copy(update={"model": "demo", "scorer": "demo", "texts": ("demo-prompts",)})
    unnamed = own.model_copy(update={"texts": ()})
    assert evaluation_key(demo, unnamed) == evaluation_key(demo, own)
    shutil.copytree(demo.shipped / "pools" / "demo-normal", demo.root / "pools" / "copy")
    named = [own.model_copy(update={"texts": (name,)}) for name in ("demo-normal", "copy")]
    assert evaluation_key(demo, named[0]) != evaluation_key(demo, named[1])  # or a run would miss its base


def test_as_many_validation_rows_as_asked_are_drawn_from_all_of_them(demo):
    pool = pipeline.pool(demo, "demo")
    chosen = pipeline.choose(demo, Recipe(pool="demo", strategy="uniform", budget=Budget(rows=4)))
    place = {row_id: i for i, row_id in enumerate(pool.ids)}
    for size in (16, 128):
        found = training(demo, chosen, pool, "dpo", ("response", "rejected"), size)
        assert [e.id for e in found.examples] == list(chosen.ids)
        rows = [place[e.id] for e in found.validation]
        assert len(rows) == size
        assert set(pool.frame["split"].iloc[rows]) == {"validation"}
        assert max(rows) > len(pool) / 2  # not the head of the table


def test_the_cost_of_choosing_counts_the_signals_that_were_there_already(demo):
    recipe = Recipe(pool="demo", strategy="saps", budget=Budget(rows=8))
    chosen, pool = pipeline.choose(demo, recipe), pipeline.pool(demo, "demo")
    made = {}
    for stage, method in (("embedding", "minilm"), ("projection", "pca"), ("clustering", "kmeans")):
        for path in (demo.shipped / "signals" / stage).glob("*/manifest.json"):
            found = json.loads(path.read_text())
            if found["key"]["method"] == method and found["key"]["params"].get("n_components") != 2:
                made[stage] = found["seconds"]
    assert selecting_seconds(demo, chosen, pool) == pytest.approx(chosen.seconds + sum(made.values()))
    drawn = pipeline.choose(demo, recipe.model_copy(update={"strategy": "uniform"}))
    assert selecting_seconds(demo, drawn, pool) == drawn.seconds
