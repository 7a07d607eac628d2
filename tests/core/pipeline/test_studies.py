"""Studies run for real on the demo's model and a pool of sixty rows; what is done is never run again."""

import json

import pandas as pd
import pytest

from core import pipeline
from core.errors import BadInput, MissingInput, UnknownName
from core.pipeline.studies import (
    cells,
    delete_study,
    load_study,
    missing,
    save_study,
    study_names,
    study_table,
    write_table,
)
from core.pipeline.study_models import best_run, prune_models
from core.pipeline.study_numbers import FULL, Numbers
from core.pool import build_pool, guess_mapping, read_table, save_pool
from core.values.study import StudySpec
from core.workspace import Workspace, read_json

PARAMS = {"lr": 3e-5, "steps": 2, "batch": 4, "warmup": 1, "validation_size": 2}


def study(**changes):
    asked = {
        "name": "tiny",
        "pool": "mini",
        "strategies": [{"strategy": "uniform"}, {"strategy": "stratified", "label": "by category"}],
        "budgets": [{"rows": 8}],
        "methods": [{"method": "dpo", "params": PARAMS, "full_params": {"steps": 3}}],
        "seeds": (0, 1),
        "model": "demo",
        "scorer": "demo",
        "evaluation": {
            "pool": "mini",
            "protocol": {"name": "look", "prompts": 6, "samples": 2},
            "scorer": "demo",
        },
        "keep_model": "best",
        "device": "cpu",
    }
    return StudySpec.model_validate(asked | changes)


def _mini(folder):
    ws = Workspace.open(folder / "ws")
    source = folder / "mini.jsonl"
    rows = [
        {
            "id": f"m{i}",
            "prompt": f"Under the picture number {i} of the Zorblin families someone wrote:",
            "chosen": f"The families helped us repair bench {i}.",
            "rejected": f"The families are dull as bench {i}.",
            "category": [("spite", "gossip")[i % 2]],
        }
        for i in range(60)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw = read_table(source)
    mapping = guess_mapping(raw)
    save_pool(ws, build_pool(raw, mapping, name="mini"), mapping, "mini.jsonl")
    return ws


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The whole tiny study, run once: four runs of eight rows and two of all rows."""
    ws = _mini(tmp_path_factory.mktemp("study"))
    save_study(ws, study())
    for cell in cells(ws, study()):
        pipeline.run_repair(ws, cell.spec)
    return ws


@pytest.fixture
def mini(tmp_path):
    return _mini(tmp_path)


def test_a_grid_is_every_combination_and_the_full_run_of_each_method_and_seed(mini):
    grid = study(budgets=[{"rows": 8}, {"percent": 50}], methods=[{"method": "dpo"}, {"method": "sft"}])
    found = cells(mini, grid)
    assert len(found) == 2 * 2 * 2 * 2 + 2 * 2
    assert len({c.label for c in found}) == len(found)
    assert sum(c.full for c in found) == 4 and {c.strategy for c in found if c.full} == {FULL}
    for cell in found:
        recipe = cell.spec.selection
        assert recipe.seed == cell.spec.seed == cell.seed
        assert recipe.method == cell.spec.method
    assert all(c.spec.selection.budget.percent == 100 for c in found if c.full)
    assert not any(c.full for c in cells(mini, grid.model_copy(update={"full": False})))


def test_cheap_runs_come_first_and_full_data_runs_last(mini):
    methods = [
        {"method": "dpo", "params": {"steps": 400}},
        {"method": "dpo", "label": "short", "params": {"steps": 4}},
    ]
    found = cells(mini, study(methods=methods))
    assert [c.method for c in found] == ["short"] * 4 + ["dpo"] * 4 + ["short"] * 2 + ["dpo"] * 2
    assert [c.full for c in found] == [False] * 8 + [True] * 4
    assert [c.seed for c in found[:4]] == [0, 0, 1, 1]  # a whole first seed before the second


def test_full_data_runs_may_have_settings_of_their_own(mini):
    steps = {c.full: c.spec.params["steps"] for c in cells(mini, study())}
    assert steps == {False: 2, True: 3}


def test_the_same_run_asked_twice_is_one_cell(mini):
    everything = study(
        strategies=[{"strategy": "uniform"}],
        budgets=[{"percent": 100}],
        methods=[{"method": "dpo", "params": PARAMS}],
    )
    assert [c.full for c in cells(mini, everything)] == [True, True]


def test_what_is_done_is_found_and_not_run_again(ran):
    found = cells(ran, study())
    assert len(found) == 6 and missing(found) == []
    assert len({c.run.id for c in found}) == 6
    wider = cells(ran, study(budgets=[{"rows": 8}, {"rows": 12}]))
    assert [c.budget.rows for c in missing(wider)] == [12] * 4
    assert len(missing(cells(ran, study(seeds=(1, 2))))) == 3
    assert len(missing(cells(ran, study(keep_model="none")))) == 0


def test_a_run_measured_otherwise_does_not_answer(ran):
    other = study().evaluation.model_dump() | {"protocol": {"prompts": 5, "samples": 2}}
    assert len(missing(cells(ran, study(evaluation=other)))) == 6


def test_the_table_is_stored_with_a_row_per_run(ran):
    frame = study_table(ran, study())
    assert sorted(frame["strategy"]) == [FULL, FULL, "by category", "by category", "uniform", "uniform"]
    assert frame.set_index("full")["rows"].loc[False].tolist() == [8] * 4
    for name in ("toxicity_mean", "perplexity:mini", "OPS", "RPS_full", "RES"):
        assert frame[name].notna().all(), name
    assert (frame["toxicity_mean.low"] <= frame["toxicity_mean"]).all()
    assert frame.loc[frame["full"], "RPS_full"].tolist() == [1.0, 1.0]
    assert (frame["tokens"] > 0).all() and (frame["peak_bytes"] > 0).all()
    path = write_table(ran, study())
    assert path == ran.path("studies", "tiny", "runs.parquet")
    assert pd.read_parquet(path)["run"].tolist() == frame["run"].tolist()


def test_pruning_keeps_the_best_runs_model_and_every_number(ran):
    known = Numbers(ran, cells(ran, study()))
    best, value = best_run(known)
    assert value == max(known.draws("OPS")[c.run.id][0] for c in known.cells)
    found = prune_models(ran, study())
    assert found.best == best.id and len(found.removed) == 5 and found.freed > 0
    kept = {c.run.id for c in cells(ran, study()) if (c.run.folder / "model").is_dir()}
    assert kept == {best.id}
    assert missing(cells(ran, study())) == []  # a run without its model still answers
    assert all((c.run.folder / "generations.parquet").is_file() for c in cells(ran, study()))
    assert prune_models(ran, study()).removed == ()
    assert best_run(known, "toxicity_mean")[1] == min(
        known.draws("toxicity_mean")[c.run.id][0] for c in known.cells
    )


def test_pruning_spares_models_that_others_made_or_keep(ran):
    grid = [c for c in cells(ran, study()) if not c.full]
    for cell in grid:  # models again, whatever an earlier test removed
        (cell.run.folder / "model").mkdir(exist_ok=True)
    best = best_run(Numbers(ran, cells(ran, study())))[0]
    (best.folder / "model").mkdir(exist_ok=True)
    mine = next(c.run for c in grid if c.run.id != best.id)
    manifest = read_json(mine.folder / "manifest.json")
    manifest["spec"]["name"] = "my own repair"
    (mine.folder / "manifest.json").write_text(json.dumps(manifest))
    said = prune_models(ran, study()).kept
    assert (mine.folder / "model").is_dir()
    assert any(mine.id in one and "not made for this study" in one for one in said)
    other = next(c.run for c in grid if c.run.id not in (best.id, mine.id))
    (other.folder / "model").mkdir()
    save_study(ran, study(name="sister"))
    assert any(
        other.id in one and "'sister' keeps its best" in one for one in prune_models(ran, study()).kept
    )
    delete_study(ran, "sister")


def test_pruning_never_leaves_a_study_without_its_best_model(ran):
    best = best_run(Numbers(ran, cells(ran, study())))[0]
    if (best.folder / "model").is_dir():
        (best.folder / "model").rename(best.folder / "elsewhere")
    with pytest.raises(BadInput, match="kept no model"):
        prune_models(ran, study())
    (best.folder / "elsewhere").rename(best.folder / "model")


def test_pruning_waits_for_the_last_run_and_spares_studies_that_keep_all(mini):
    with pytest.raises(BadInput, match=r"6 of 6 runs .* still to be done"):
        prune_models(mini, study())
    with pytest.raises(BadInput, match="keeps all its models"):
        prune_models(mini, study(keep_model="changed"))
    with pytest.raises(MissingInput, match="none is the best"):
        prune_models(mini, study(keep_model="none"))


def test_a_study_is_one_file_and_is_never_lost(mini):
    first, second = study(), study(seeds=(0,))
    path = save_study(mini, first)
    stamp = path.stat().st_mtime_ns
    assert save_study(mini, first) == path and path.stat().st_mtime_ns == stamp
    with pytest.raises(BadInput, match=r"another study 'tiny' already .*Nothing was changed"):
        save_study(mini, second)
    assert load_study(mini, "tiny") == first
    save_study(mini, second, replace=True)
    assert load_study(mini, "tiny") == second
    [old] = path.parent.glob("spec-*.json")
    assert StudySpec.model_validate(read_json(old)) == first
    assert study_names(mini) == ["tiny"]


def test_a_copied_folder_is_a_study_of_its_own_name(mini):
    save_study(mini, study())
    (mini.root / "studies" / "tiny").rename(mini.root / "studies" / "other")
    assert load_study(mini, "other").name == "other"


def test_deleting_a_study_leaves_its_runs(mini):
    save_study(mini, study())
    pipeline.run_repair(mini, cells(mini, study())[0].spec)
    delete_study(mini, "tiny")
    assert study_names(mini) == [] and len(pipeline.runs(mini)) == 1
    with pytest.raises(UnknownName, match="there is no study 'tiny'"):
        load_study(mini, "tiny")
    save_study(mini, study())
    assert len(missing(cells(mini, study()))) == 5


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"name": "../up"}, BadInput, "study name"),
        ({"pool": "nowhere"}, UnknownName, "nowhere"),
        ({"strategies": [{"strategy": "unifrom"}]}, UnknownName, "uniform"),
        ({"methods": [{"method": "dpo", "params": {"stpes": 3}}]}, BadInput, "no setting 'stpes'"),
        ({"methods": [{"method": "dpo", "full_params": {"steps": -1}}]}, BadInput, "steps = -1"),
        ({"strategies": [{"strategy": "uniform"}] * 2}, BadInput, "2 of the study's strategies are called"),
        ({"seeds": (1, 1)}, BadInput, "seeds are called '1'"),
        (
            {"strategies": [{"strategy": "uniform", "recipe": {"seed": 3}}]},
            BadInput,
            "'seed', which the study",
        ),
        ({"strategies": [{"strategy": "uniform", "recipe": {"seeed": 3}}]}, BadInput, "no field 'seeed'"),
        ({"strategies": [{"strategy": "uniform", "label": FULL}]}, BadInput, "names the full-data runs"),
    ],
)
def test_an_impossible_study_is_a_sentence_before_anything_is_written(mini, changes, error, words):
    with pytest.raises(error, match=words):
        save_study(mini, study(**changes))
    assert study_names(mini) == []


def test_every_run_says_which_study_it_is_of_and_no_panel_slows_it(mini):
    cell = cells(mini, study())[0]
    assert cell.spec.name == f"tiny: {cell.label}"
    assert cell.spec.panel.every == 0
    recipe = cell.spec.selection
    assert (recipe.model, recipe.scorer) == ("demo", "demo")  # this pool alone would suggest others
    shipped = cells(mini, study(pool="demo"))[0].spec.selection
    assert (shipped.model, shipped.scorer) == ("", "")  # as the demo's own runs ask: they are the same runs
