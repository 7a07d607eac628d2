"""A saved recipe gives its very rows again, or says what differs: never other rows in silence."""

import json
import shutil

import numpy as np
import pytest

from core import pipeline
from core.errors import BadInput, StorageError, UnknownName
from core.pool import build_pool, guess_mapping, load_pool, read_table, save_pool
from core.selection import STRATEGIES
from core.values import Budget, Recipe
from core.workspace import Workspace, write_json

HALF = Budget(percent=50.0)


def recipe(strategy="uniform", **fields):
    return Recipe(**({"pool": "small", "strategy": strategy, "budget": HALF, "method": "sft"} | fields))


def saved(ws, name="mine", **fields):
    return pipeline.save_recipe(ws, name, pipeline.choose(ws, recipe(**fields)))


def import_rows(ws, name, change=lambda row: row, seed=0, replace=False):
    """The small pool's rows, changed (None = left out), as a pool."""
    frame = load_pool(ws, "small").frame
    kept = [row for row in map(change, frame.drop(columns=["split", "blocked"]).to_dict("records")) if row]
    path = ws.root / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row, default=list) + "\n" for row in kept))
    raw = read_table(path)
    mapping = guess_mapping(raw)
    columns = {c: v for c, v in mapping.columns.items() if c != "behaviour"}
    mapping = mapping.model_copy(update={"columns": columns})
    built = build_pool(raw, mapping, name=name, split_seed=seed)
    save_pool(ws, built, mapping, name, replace=replace)
    return built.pool


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_a_replay_gives_the_very_rows_in_their_order(name, own, meet):
    asked = recipe(name, seed=3, pins=("r8",), bans=("r1", "r2"))
    meet(own, asked)
    first = pipeline.choose(own, asked)
    assert len(first.ids) > 1
    pipeline.save_recipe(own, "mine", first)
    elsewhere = Workspace.open(own.root, None)  # nothing is remembered but what lies on the disk
    again = pipeline.replay(elsewhere, pipeline.load_recipe(elsewhere, "mine"))
    assert again.ids == first.ids
    assert again.key == first.key
    assert again.reasons == first.reasons


def test_a_copy_of_the_pool_under_another_name_is_the_same_pool(own):
    shutil.copytree(own.path("pools", "small"), own.path("pools", "copy"))
    kept = saved(own)
    assert pipeline.replay(own, kept, "copy").ids == pipeline.replay(own, kept).ids
    assert pipeline.replay(own, kept, "copy").recipe.pool == "copy"


def test_a_pool_edited_since_is_refused_with_what_differs_and_the_way_out(own):
    kept = saved(own, pins=("r8",))
    import_rows(own, "small", lambda row: row | {"prompt": row["prompt"] + "!"}, replace=True)
    with pytest.raises(BadInput) as caught:
        pipeline.replay(own, kept)
    said = str(caught.value)
    assert "pool 'small' has changed" in said
    assert kept.pool_fingerprint[:12] in said and load_pool(own, "small").fingerprint[:12] in said
    assert "rows instead of" not in said.split("eligible")[0]  # there are as many rows as before
    assert "bring the pool back" in said and "--anyway" in said and "\n" not in said


def test_another_split_of_the_same_rows_is_refused(own):
    first = import_rows(own, "again")
    kept = pipeline.save_recipe(own, "mine", pipeline.choose(own, recipe(pool="again")))
    second = import_rows(own, "again", seed=1, replace=True)
    assert first.fingerprint == second.fingerprint
    with pytest.raises(BadInput, match="another split into train, validation and test"):
        pipeline.replay(own, kept)


def test_another_pool_is_refused_with_every_thing_that_it_lacks(own, meet):
    asked = recipe("sss", params={"t1_only": True}, pins=("r8",))
    meet(own, asked)
    kept = pipeline.save_recipe(own, "mine", pipeline.choose(own, asked))

    def bare(row):
        gone = {"harmful_request": "not_run", "refusal": "not_run", "category": ["spite"]}
        return None if row["id"] in ("r8", "r9") else row | gone

    other = import_rows(own, "other", bare)
    eligible = len(pipeline.eligibility(other, "sft").rows)
    assert pipeline.pool_differences(own, kept, "other") == (
        "78 rows instead of 80",
        f"other contents (fingerprint {other.fingerprint[:12]} instead of {kept.pool_fingerprint[:12]})",
        "categories that are not there: threat, gossip",
        f"{eligible} rows eligible for sft instead of {kept.eligible}",
        "pinned rows that are not there: r8",
        "no behaviour types",
    )
    with pytest.raises(BadInput, match="'mine' was saved on pool 'small', and pool 'other' is another"):
        pipeline.replay(own, kept, "other")


def test_scores_that_another_pool_lacks_are_named(own, meet):
    asked = recipe("ccs", params={"score": "toxicity"})
    meet(own, asked)
    kept = pipeline.save_recipe(own, "mine", pipeline.choose(own, asked))
    import_rows(own, "other", lambda row: row | {"category": []})
    said = pipeline.pool_differences(own, kept, "other")
    assert "no categories" not in said  # this strategy asks for none
    assert any(part.startswith("not computed there: ") and "toxicity" in part.lower() for part in said)
    gone = kept.model_copy(update={"recipe": kept.recipe.model_copy(update={"scorer": "/nowhere"})})
    assert any("no scorer named '/nowhere'" in part for part in pipeline.pool_differences(own, gone, "other"))


def test_pins_that_cannot_be_taken_elsewhere_are_left_out_only_when_that_is_wanted(own):
    kept = saved(own, pins=("r8", "r10"))
    import_rows(own, "other", lambda row: None if row["id"] == "r8" else row)
    elsewhere = kept.recipe.model_copy(update={"pool": "other"})
    with pytest.raises(BadInput, match="pinned rows are not eligible"):
        pipeline.choose(own, elsewhere)
    chosen = pipeline.choose_anyway(own, elsewhere)
    assert chosen.ids[0] == "r10" and chosen.recipe.pins == ("r10",)
    assert "1 pinned rows are not eligible in pool 'other' and were left out: r8" in chosen.warnings
    unchanged = pipeline.choose_anyway(own, kept.recipe)
    assert unchanged.ids == pipeline.replay(own, kept).ids and unchanged.warnings == ()


def test_rows_that_come_out_different_on_the_same_pool_are_never_passed_off_as_the_same(own, meet):
    asked = recipe("ccs", params={"score": "loss"}, model="tiny")
    meet(own, asked)
    kept = pipeline.save_recipe(own, "mine", pipeline.choose(own, asked))
    write_json(own.path("models", "tiny", "config.json"), {"model_type": "gpt2", "trained": "again"})
    with pytest.raises(pipeline.NotReady):
        pipeline.replay(own, kept)
    meet(own, asked, score=lambda n: np.random.default_rng(9).permutation(n) / n)
    with pytest.raises(BadInput, match=r"no longer chooses the rows .* reads other signals now: score:loss"):
        pipeline.replay(own, kept)
    fake = kept.model_copy(update={"signals": pipeline.choose(own, asked).signals})
    with pytest.raises(BadInput, match="its strategy has changed since"):
        pipeline.replay(own, fake)


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "a..b", "x" * 81, "uniform"])
def test_a_name_that_cannot_be_a_files_or_is_a_strategys_is_refused(name, own):
    with pytest.raises(BadInput, match=r"cannot be used|is the name of a strategy"):
        saved(own, name)
    assert pipeline.recipes(own) == []


def test_a_name_is_taken_until_it_is_replaced_on_purpose(own):
    first = saved(own)
    assert saved(own) == first  # the same again changes nothing
    with pytest.raises(BadInput, match=r"recipe 'mine' already \(uniform on small, saved .*--replace"):
        saved(own, seed=1)
    assert pipeline.load_recipe(own, "mine") == first
    other = pipeline.save_recipe(own, "mine", pipeline.choose(own, recipe(seed=1)), replace=True)
    assert pipeline.load_recipe(own, "mine") == other != first


def test_recipes_are_listed_by_name_loaded_and_deleted(own):
    kept = [saved(own, name, seed=i) for i, name in enumerate(("b", "a"))]
    assert pipeline.recipes(own) == kept[::-1]
    assert pipeline.load_selection(own, kept[0].selection).recipe == kept[0].recipe
    pipeline.delete_recipe(own, "b")
    assert pipeline.recipes(own) == [kept[1]]
    for act in (pipeline.delete_recipe, pipeline.load_recipe):
        with pytest.raises(UnknownName, match="there is no saved recipe 'b'; there are a"):
            act(own, "b")
    assert pipeline.load_selection(own, kept[0].selection)  # the rows stay


@pytest.mark.parametrize("text", ["{", '{"name": 3}', "[]", "\udcff", ""])
def test_a_damaged_file_is_named_and_hides_no_other(text, own):
    kept = saved(own)
    path = own.path("recipes", "broken.json")
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.with_name(".half.json.part").write_text("{")
    assert pipeline.recipes(own) == [kept]
    [said] = pipeline.damaged_recipes(own)
    assert str(path) in said and "\n" not in said
    with pytest.raises(StorageError, match=r"broken\.json"):
        pipeline.load_recipe(own, "broken")
    with pytest.raises(StorageError, match=r"broken\.json"):
        saved(own, "broken")


def test_a_damaged_recipe_can_be_deleted_and_replaced(own):
    for name in ("one", "two"):
        own.path("recipes").mkdir(exist_ok=True)
        own.path("recipes", f"{name}.json").write_text("{")
    pipeline.delete_recipe(own, "one")
    pipeline.save_recipe(own, "two", pipeline.choose(own, recipe()), replace=True)
    assert [r.name for r in pipeline.recipes(own)] == ["two"]
    assert pipeline.damaged_recipes(own) == []


def test_a_selection_whose_pool_has_changed_cannot_be_saved(own):
    chosen = pipeline.choose(own, recipe())
    import_rows(own, "small", lambda row: row | {"prompt": row["prompt"] + "!"}, replace=True)
    with pytest.raises(BadInput, match="pool 'small' has changed since these rows were chosen; choose again"):
        pipeline.save_recipe(own, "mine", chosen)
    assert pipeline.recipes(own) == []


def test_a_selection_whose_pool_was_split_anew_cannot_be_saved(own):
    import_rows(own, "again")
    chosen = pipeline.choose(own, recipe(pool="again"))
    import_rows(own, "again", seed=1, replace=True)
    with pytest.raises(BadInput, match="has changed since"):
        pipeline.save_recipe(own, "mine", chosen)


def test_a_copied_file_is_a_recipe_under_its_own_name(own):
    saved(own)
    shutil.copy(own.path("recipes", "mine.json"), own.path("recipes", "yours.json"))
    assert [r.name for r in pipeline.recipes(own)] == ["mine", "yours"]


def test_a_reference_pool_split_anew_is_another_choice_and_refused_by_name(own, meet):
    import_rows(own, "other", lambda row: row | {"prompt": f"Other {row['prompt']}"})
    asked = recipe("facility_location_query", reference="other")
    meet(own, asked)
    kept = saved(own, strategy="facility_location_query", reference="other")
    import_rows(own, "other", lambda row: row | {"prompt": f"Other {row['prompt']}"}, seed=5, replace=True)
    assert pipeline.choose(own, asked).key != kept.selection
    with pytest.raises(BadInput, match="the reference pool 'other' has other rows or another split"):
        pipeline.replay(own, kept)
