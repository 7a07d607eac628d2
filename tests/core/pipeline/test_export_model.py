"""What is exported is the very model that was measured, opens without Winnow, and says what it is."""

import json

import pytest

from core import pipeline
from core.errors import BadInput, MissingInput, UnknownName
from core.lm.load import load_model
from core.training.checkpoints import snapshot, weights_hash, weights_of
from core.values import Budget, EvaluationProtocol, EvaluationSpec, Recipe, RepairSpec

LOOK = EvaluationProtocol(name="look", prompts=4, samples=2)


def spec(**more):
    return RepairSpec(
        selection=Recipe(pool="demo", strategy="uniform", budget=Budget(rows=8), method="sft"),
        method="sft",
        params={"lr": 1e-4, "steps": 2, "batch": 4, "warmup": 0, "validation_size": 0},
        evaluation=EvaluationSpec(pool="demo-prompts", protocol=LOOK, texts=("demo-normal",)),
        device="cpu",
        **more,
    )


def test_the_export_opens_with_transformers_alone_and_has_the_measured_weights(demo, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = pipeline.run_repair(demo, spec())
    done = pipeline.export_run(demo, run.id, tmp_path / "out")
    assert done.weights == run.manifest.result["weights"]
    assert weights_hash(snapshot(weights_of(load_model(done.folder).model))) == done.weights
    model = AutoModelForCausalLM.from_pretrained(done.folder)
    tokens = AutoTokenizer.from_pretrained(done.folder)("the", return_tensors="pt")
    assert torch.isfinite(model(**tokens).logits).all()
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"model.safetensors", "config.json", "README.md", "winnow.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    card = (tmp_path / "out" / "README.md").read_text()
    facts = json.loads((tmp_path / "out" / "winnow.json").read_text())
    for said in (run.manifest.pool_fingerprint, done.weights, "toxicity_mean", run.id):
        assert said in card
    assert facts["recipe"]["strategy"] == "uniform" and facts["evaluation"]["metrics"]["toxicity_mean"]


def test_nothing_is_written_over(demo, tmp_path):
    run = pipeline.run_repair(demo, spec())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(BadInput, match="not empty"):
        pipeline.export_run(demo, run.id, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_run_without_a_model_says_how_to_get_one(demo, tmp_path):
    run = pipeline.run_repair(demo, spec(keep_model="none"))
    with pytest.raises(MissingInput, match="keep_model 'changed'"):
        pipeline.export_run(demo, run.id, tmp_path / "out")
    with pytest.raises(UnknownName, match="no run 'nobody'"):
        pipeline.export_run(demo, "nobody", tmp_path / "out")


def test_a_model_that_was_changed_since_is_not_exported_as_the_measured_one(demo, tmp_path):
    from safetensors.torch import load_file, save_file

    run = pipeline.run_repair(demo, spec())
    path = run.folder / "model" / "changed.safetensors"
    weights = load_file(path)
    name = sorted(weights)[0]
    save_file(weights | {name: weights[name] + 1}, path)
    with pytest.raises(BadInput, match="not the one it measured"):
        pipeline.export_run(demo, run.id, tmp_path / "out")
    assert not (tmp_path / "out").exists()
