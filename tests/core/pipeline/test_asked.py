"""Which finished run answers what is asked, and the runs that need more than rows: mixes, masks, decoders."""

import json
import shutil

import pytest

from core import pipeline
from core.errors import BadInput
from core.pipeline.runs import METRICS, find_asked
from core.pipeline.token_masks import tokenizer_hash, write_token_mask
from core.pool import read_manifest
from core.values import Budget, EvaluationProtocol, EvaluationSpec, Mix, Panel, Recipe, RepairSpec
from core.workspace import Workspace, write_json
from core.workspace.store import SHIPPED

SCORER = str(SHIPPED / "models" / "scorer")


@pytest.fixture
def asked(tiny_folder):
    def make(method="sft", rows=16, **more):
        params = {"lr": 1e-3, "steps": 2, "batch": 4, "warmup": 1, "validation_size": 4}
        return RepairSpec(
            selection=Recipe(pool="small", strategy="uniform", budget=Budget(rows=rows), method=method),
            method=method,
            params=params | more.pop("params", {}),
            model=str(tiny_folder("gpt2")),
            scorer=SCORER,
            panel=Panel(every=0),
            device="cpu",
        ).model_copy(update=more)

    return make


def measured(**more):
    look = EvaluationProtocol(name="look", prompts=4, samples=2, new_tokens=4)
    return EvaluationSpec(pool="small", protocol=look, scorer=SCORER, **more)


def test_a_run_answers_the_spec_as_it_was_asked_and_no_other(own, asked):
    spec = asked(evaluation=measured())
    assert find_asked(own, spec) is None
    run = pipeline.run_repair(own, spec)
    alike = {"name": "another name", "keep_model": "none", "device": "auto", "panel": Panel(every=3)}
    for update in ({}, alike, {"evaluation": measured(model=spec.model)}):
        assert find_asked(own, spec.model_copy(update=update)).id == run.id
    recipe = spec.selection
    for update in (
        {"seed": 1},
        {"method": "dapt"},
        {"params": spec.params | {"lr": 2e-3}},
        {"evaluation": None},
        {"evaluation": measured(request_tokens=3, split="validation")},
        {"selection": recipe.model_copy(update={"seed": 1})},
        {"selection": recipe.model_copy(update={"budget": Budget(rows=17)})},
        {"model": "tiny"},
        {"model": "nowhere/there/is"},
        {"mix": Mix(rows=3)},
        {"selection": "0123456789abcdef"},
        {"selection": recipe.model_copy(update={"pool": "gone"})},
    ):
        assert find_asked(own, spec.model_copy(update=update)) is None, update
    assert find_asked(own, spec.model_copy(update={"selection": run.manifest.selection})) is None  # not yet
    again = pipeline.run_repair(own, spec.model_copy(update={"selection": run.manifest.selection}))
    assert again.id == run.id
    assert find_asked(own, spec.model_copy(update={"selection": run.manifest.selection})).id == run.id


def test_settings_left_out_are_their_defaults(own, asked):
    spec = asked()
    run = pipeline.run_repair(own, spec)
    assert find_asked(own, spec.model_copy(update={"params": run.manifest.spec.params})).id == run.id
    with pytest.raises(BadInput, match="no setting 'stpes'"):
        find_asked(own, asked(params={"stpes": 3}))


def test_a_vanished_run_or_model_and_a_changed_pool_are_misses(own, asked):
    spec = asked(keep_model="changed")
    run = pipeline.run_repair(own, spec)
    shutil.rmtree(run.folder / "model")
    assert find_asked(own, spec) is None
    assert find_asked(own, spec.model_copy(update={"keep_model": "none"})).id == run.id
    manifest = own.path("pools", "small", "manifest.json")
    kept = read_manifest(own, "small")
    for field in ("fingerprint", "split_hash"):
        write_json(manifest, kept | {field: "another"})
        assert find_asked(own, spec.model_copy(update={"keep_model": "none"})) is None
    write_json(manifest, kept)
    assert find_asked(own, spec.model_copy(update={"keep_model": "none"})).id == run.id
    shutil.rmtree(run.folder)
    assert find_asked(own, spec.model_copy(update={"keep_model": "none"})) is None


def test_a_pool_changed_since_the_selection_is_refused_when_a_run_is_taken_up(own, asked):
    spec = asked()
    chosen = pipeline.choose(own, spec.selection)
    pipeline.save_selection(own, chosen)
    manifest = own.path("pools", "small", "manifest.json")
    write_json(manifest, read_manifest(own, "small") | {"fingerprint": "another"})
    with pytest.raises(BadInput, match="has changed since the selection"):
        pipeline.run_repair(own, spec.model_copy(update={"selection": chosen.key}))


def test_a_mix_trains_on_both_kinds_and_says_its_dose(own, asked):
    spec = asked(rows=10, mix=Mix(rows=5), params={"steps": 8, "batch": 5})
    run = pipeline.run_repair(own, spec)
    m = run.manifest
    assert m.spec.mix.pool == "small"
    assert m.dose["safety"] == 10
    assert m.dose["benign"] == 5
    assert m.dose["percent"] == pytest.approx(100 / 1.5)
    assert m.dose["percent_of_benign"] == 200
    assert m.dose["epochs"] == pytest.approx(8 / 3)
    assert (m.budget, run.trained_rows) == (10, 15)
    other = pipeline.run_repair(own, spec.model_copy(update={"mix": Mix(rows=5, seed=1)}))
    assert other.id != run.id
    plain = pipeline.run_repair(own, spec.model_copy(update={"mix": None}))
    assert plain.manifest.dose == {}
    assert len({r.manifest.result["weights"] for r in (run, other, plain)}) == 3


def test_a_token_mask_changes_what_is_learned(own, asked, tiny_lm):
    pool = pipeline.pool(own, "small")
    cuts = tokenizer_hash(tiny_lm().tokenizer)
    lengths = [len(text) + 1 for text in pool.column("response")]  # bytes, and the joining space
    masks = {
        name: write_token_mask(own, pool, rows, [()] * len(pool), cuts, name)
        for name, rows in {
            "ends": [[False] * (n - 2) + [True] * 2 for n in lengths],
            "starts": [[True] * 2 + [False] * (n - 2) for n in lengths],
        }.items()
    }
    found = [
        pipeline.run_repair(own, asked("token_penalty", token_mask=key)).manifest for key in masks.values()
    ]
    assert len({m.id for m in found}) == 2
    assert len({m.result["weights"] for m in found}) == 2
    wrong = write_token_mask(own, pool, [[True]] * len(pool), [()] * len(pool), "cuts otherwise", "test")
    with pytest.raises(BadInput, match="another tokenizer"):
        pipeline.run_repair(own, asked("token_penalty", token_mask=wrong))


@pytest.mark.parametrize("method", ["dexperts", "rad"])
def test_a_method_that_decodes_is_measured_as_its_folder_decodes(own, asked, method):
    strong = {"alpha": 20.0} if method == "dexperts" else {"beta": 50.0}
    spec = asked(method, params=strong, evaluation=measured())
    run = pipeline.run_repair(own, spec)
    assert json.loads((run.folder / "model" / "decoder.json").read_text())["kind"] == method
    base = pipeline.base_evaluation(own, run.manifest.spec.evaluation)
    assert run.evaluation.metrics["toxicity_mean"] != base.metrics["toxicity_mean"]
    named = measured(model=f"run:{run.id}")
    assert pipeline.run_evaluation(own, named).metrics == run.evaluation.metrics
    bare = Workspace.open(own.root.parent / "bare", None)
    shutil.copytree(own.root / "pools", bare.root / "pools")
    dropped = pipeline.run_repair(bare, spec.model_copy(update={"keep_model": "none"}))
    assert dropped.id == run.id
    assert dropped.evaluation.metrics == run.evaluation.metrics
    assert not (dropped.folder / "model").exists()


@pytest.mark.parametrize("method", ["dexperts", "rad"])
def test_a_model_that_decodes_otherwise_is_not_repaired(own, asked, method):
    """Its run would be measured with the decoder and saved without it."""
    run = pipeline.run_repair(own, asked(method))
    with pytest.raises(BadInput, match=f"decodes by {method}"):
        pipeline.run_repair(own, asked(model=f"run:{run.id}"))


@pytest.mark.parametrize("method", ["dexperts", "rad"])
def test_a_method_that_decodes_is_exported_as_it_was_measured(own, asked, method, tmp_path):
    run = pipeline.run_repair(own, asked(method, evaluation=measured()))
    done = pipeline.export_run(own, run.id, tmp_path / "out")
    assert done.weights == run.manifest.result["weights"]
    assert pipeline.run_evaluation(own, measured(model=done.folder)).metrics == run.evaluation.metrics


def test_an_expert_that_was_changed_since_is_not_exported(own, asked, tmp_path):
    from safetensors.torch import load_file, save_file

    run = pipeline.run_repair(own, asked("dexperts"))
    path = run.folder / "model" / "expert" / "changed.safetensors"
    weights = load_file(path)
    name = sorted(weights)[0]
    save_file(weights | {name: weights[name] + 1}, path)
    with pytest.raises(BadInput, match="not the one it measured"):
        pipeline.export_run(own, run.id, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rad_names_the_scorer_that_rewards_and_its_content(own, asked, tmp_path):
    shutil.copytree(SCORER, tmp_path / "scorer")
    spec = asked("rad", scorer=str(tmp_path / "scorer"))
    run = pipeline.run_repair(own, spec)
    assert run.manifest.spec.params["reward"] == str(tmp_path / "scorer")
    write_json(tmp_path / "scorer" / "note.json", {"trained": "again"})
    assert pipeline.run_repair(own, spec).id != run.id
    assert (run.folder / METRICS).is_file()


def test_what_the_untouched_model_said_is_computed_once(own, asked):
    pipeline.run_repair(own, asked("dpo"))
    [memo] = own.path("memo").glob("reference-*.sqlite")
    before = memo.stat().st_size, memo.stat().st_mtime_ns
    pipeline.run_repair(own, asked("dpo", seed=1))
    assert (memo.stat().st_size, memo.stat().st_mtime_ns) == before
