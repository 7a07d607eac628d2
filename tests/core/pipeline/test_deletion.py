"""Nothing is deleted while something depends on it, unless that was said."""

import pytest

from core import pipeline
from core.errors import BadInput, UnknownName
from core.pipeline.deletion import delete_model, delete_run, dependents, size
from core.pipeline.evaluations import open_model
from core.pipeline.panel import keep_model
from core.pipeline.studies import save_study
from core.values import Budget, Recipe, RepairSpec, StudyMethod, StudySpec, StudyStrategy

QUICK = {"lr": 1e-4, "steps": 1, "batch": 4, "warmup": 0, "validation_size": 0}


def spec(**more):
    recipe = Recipe(pool="demo", strategy="uniform", budget=Budget(rows=8), method="sft")
    return RepairSpec(selection=recipe, method="sft", params=QUICK, device="cpu", **more)


def test_a_model_goes_and_its_numbers_stay(demo):
    run = pipeline.run_repair(demo, spec())
    held = size(run.folder / "model")
    assert held > 0 and delete_model(demo, run.id) == held
    left = pipeline.find_run(demo, run.id)
    assert left is not None and left.manifest == run.manifest and not (left.folder / "model").exists()
    assert delete_model(demo, run.id) == 0, "there is nothing more to free"


def test_a_run_that_another_began_from_is_kept(demo):
    first = pipeline.run_repair(demo, spec())
    second = pipeline.run_repair(demo, spec(model=f"run:{first.id}"))
    assert any(second.id in said for said in dependents(demo, first.id))
    for delete in (delete_run, delete_model):
        with pytest.raises(BadInput, match="repaired its model"):
            delete(demo, first.id)
    assert (first.folder / "model").is_dir()
    assert delete_run(demo, first.id, anyway=True) > 0
    assert pipeline.find_run(demo, first.id) is None
    assert pipeline.find_run(demo, second.id) is not None


def test_a_model_kept_while_its_model_was_repaired_keeps_it(demo):
    first = pipeline.run_repair(demo, spec())
    lm = open_model(str(first.folder / "model"), "cpu")
    keep_model(demo, lm, "halfway", "someone", 3)
    for delete in (delete_run, delete_model):
        with pytest.raises(BadInput, match="'halfway-step-3'"):
            delete(demo, first.id)
    other = pipeline.run_repair(demo, spec(seed=1))
    assert dependents(demo, other.id) == []


def test_a_point_of_a_study_is_kept(demo):
    study = StudySpec(
        name="little",
        pool="demo",
        strategies=(StudyStrategy(strategy="uniform"),),
        budgets=(Budget(rows=8),),
        methods=(StudyMethod(method="sft", params=QUICK),),
        seeds=(0,),
        full=False,
        model="demo",
        device="cpu",
    )
    save_study(demo, study)
    from core.pipeline.studies import cells

    [cell] = cells(demo, study)
    run = pipeline.run_repair(demo, cell.spec)
    with pytest.raises(BadInput, match="study 'little'"):
        delete_run(demo, run.id)


def test_what_is_not_there_is_said(demo):
    with pytest.raises(UnknownName, match="run list"):
        delete_run(demo, "nobody")
