"""From a recipe to a selection: same recipe, same pool, same rows; what is missing is named."""

import json

import pandas as pd
import pytest

from core import pipeline
from core.errors import BadBudget, BadInput, MissingInput, StorageError, UnknownName
from core.pool import Mapping, build_pool, guess_mapping, read_table, save_pool
from core.values import Budget, Recipe


def test_the_same_recipe_on_the_same_pool_gives_the_same_rows(demo):
    recipe = Recipe(pool="demo", strategy="saps", budget=Budget(percent=5.0))
    first, again = pipeline.choose(demo, recipe), pipeline.choose(demo, recipe)
    assert first.ids == again.ids
    assert first.key == again.key
    assert len(first.ids) == Budget(percent=5.0).count(first.eligible)
    other = pipeline.choose(demo, recipe.model_copy(update={"seed": 1, "strategy": "uniform"}))
    assert other.key != first.key


def test_only_train_rows_with_both_sides_are_eligible_for_dpo(demo):
    chosen = pipeline.choose(demo, Recipe(pool="demo", strategy="uniform", budget=Budget(percent=100.0)))
    pool = pipeline.pool(demo, "demo")
    part = pool.frame.set_index("id").loc[list(chosen.ids)]
    assert (part["split"] == "train").all()
    assert (part["response"] != "").all()
    assert (part["rejected"] != "").all()
    assert not part["blocked"].any()
    assert chosen.eligible + sum(chosen.left_out.values()) == len(pool)


def test_a_missing_signal_is_named_with_the_request_that_makes_it(demo, tmp_path):
    from core.pool import Mapping, build_pool, read_table, save_pool

    path = tmp_path / "p.jsonl"
    path.write_text(
        "\n".join(json.dumps({"id": str(i), "prompt": f"p{i}", "response": f"r{i}"}) for i in range(30))
    )
    columns = {"id": "id", "prompt": "prompt", "response": "response"}
    save_pool(
        demo,
        build_pool(read_table(path), Mapping(columns=columns), name="p"),
        Mapping(columns=columns),
        origin="t",
    )
    with pytest.raises(pipeline.NotReady, match="not computed yet") as caught:
        pipeline.choose(demo, Recipe(pool="p", strategy="k_center", method="sft"))
    assert [r.stage for r in caught.value.requests] == ["embedding"]
    with pytest.raises(BadBudget):
        pipeline.choose(demo, Recipe(pool="p", strategy="uniform", method="sft", budget=Budget(rows=10_000)))


def test_pins_come_first_and_bans_never(demo):
    free = pipeline.choose(demo, Recipe(pool="demo", strategy="uniform", budget=Budget(rows=5)))
    pin, ban = free.ids[4], free.ids[0]
    chosen = pipeline.choose(
        demo, Recipe(pool="demo", strategy="uniform", budget=Budget(rows=5), pins=(pin,), bans=(ban,))
    )
    assert chosen.ids[0] == pin
    assert ban not in chosen.ids
    assert len(chosen.ids) == 5
    with pytest.raises(BadInput, match="pinned rows are not eligible"):
        pipeline.choose(demo, Recipe(pool="demo", strategy="uniform", pins=("nobody",)))


def test_a_stored_selection_is_read_back_whole_and_written_in_plain_text(demo, tmp_path):
    chosen = pipeline.choose(demo, Recipe(pool="demo", strategy="saps", budget=Budget(rows=7)))
    key = pipeline.save_selection(demo, chosen)
    assert pipeline.load_selection(demo, key) == chosen
    assert pipeline.selections(demo) == [chosen]
    with pytest.raises(UnknownName, match="no stored selection 'zz'"):
        pipeline.load_selection(demo, "zz")
    frames = []
    for kind in ("jsonl", "csv", "parquet"):
        path = tmp_path / f"rows.{kind}"
        pipeline.export_selection(demo, chosen, path)
        read = {
            "jsonl": lambda p: pd.read_json(p, lines=True, dtype={"id": str}),
            "csv": pd.read_csv,
            "parquet": pd.read_parquet,
        }[kind]
        frames.append([str(i) for i in read(path)["id"]])
    assert frames == [list(chosen.ids)] * 3
    with pytest.raises(BadInput, match="cannot tell the format"):
        pipeline.export_selection(demo, chosen, tmp_path / "rows.txt")


def test_a_pool_without_pairs_given_to_dpo_is_told_which_columns_it_needs(demo, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("prompt,response\nhello,good day\nbye,see you\n")
    raw = read_table(source)
    save_pool(demo, build_pool(raw, guess_mapping(raw), name="flat"), Mapping(), "demographics.csv")
    recipe = Recipe(pool="flat", strategy="uniform", method="dpo")
    with pytest.raises(MissingInput, match=r"dpo can learn from: it needs the columns response and rejected"):
        pipeline.choose(demo, recipe)
    assert pipeline.choose(demo, recipe.model_copy(update={"method": "sft"})).ids
    assert pipeline.default_scorer(demo, "flat") == "unbiased"  # its origin only begins like the demo's


def test_a_damaged_selection_is_a_sentence(demo):
    key = pipeline.save_selection(demo, pipeline.choose(demo, Recipe(pool="demo", strategy="uniform")))
    demo.path("selections", f"{key}.json").write_text('{"key": 3}')
    with pytest.raises(StorageError, match="is damaged or of another version"):
        pipeline.load_selection(demo, key)


def test_a_labeller_fills_only_what_the_source_does_not_say_and_is_part_of_the_choice(demo, tmp_path):
    from core.pool import Mapping, build_pool, read_table, save_pool

    path = tmp_path / "asked.jsonl"
    answers = ["Sure.", "I cannot help with that."]
    rows = [
        {"id": str(i), "prompt": f"do harm {i}", "response": answers[i % 2], "bad": "yes"} for i in range(20)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    columns = {"id": "id", "prompt": "prompt", "response": "response", "harmful_request": "bad"}
    mapping = Mapping(columns=columns)
    save_pool(demo, build_pool(read_table(path), mapping, name="asked"), mapping, origin="t")
    weights = {"saps": 0, "ccs": 0, "behaviour": 1}
    recipe = Recipe(pool="asked", strategy="blend", params=weights, method="sft", budget=Budget(rows=3))
    with pytest.raises(MissingInput, match="map harmful_request and refusal"):
        pipeline.choose(demo, recipe)
    labelled = recipe.model_copy(update={"labeller": "keyword_refusal"})
    with pytest.raises(pipeline.NotReady):
        pipeline.choose(demo, labelled)
    chosen = pipeline.choose(demo, labelled, make=True)
    assert all(int(row_id) % 2 for row_id in chosen.ids), "T1 weighs most: refusals come first"
    assert "flags:keyword_refusal" in chosen.signals
