"""Recipes at a terminal: rows written with their reasons, short ones told loudly, mistakes a sentence."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from core import pipeline
from core.pool import read_manifest
from core.workspace import Workspace


@pytest.fixture
def own(small, tmp_path):
    """A copy of the small workspace, for a test to change."""
    shutil.copytree(small.root, tmp_path / "own")
    return Workspace.open(tmp_path / "own", None)


@pytest.fixture
def winnow(own, command_line):
    return command_line(own)


@pytest.fixture
def sentence(winnow):
    """What a mistake is told, checked to be one sentence and exit code 2."""

    def run(*words):
        code, out, told = winnow(*words)
        assert (code, out) == (2, "") and told.startswith("winnow: ") and len(told.strip().splitlines()) == 1
        return told

    return run


def selected(winnow, *words):
    code, out, _ = winnow("select", *words, "--json")
    assert code == 0
    return json.loads(out)


SMALL = ("--pool", "small", "--method", "sft")


def test_every_option_of_a_recipe_can_be_given(winnow):
    asked = ("uniform", *SMALL, "--rows", 6, "--seed", 4)
    assert len(selected(winnow, *asked)["ids"]) == 6
    half = selected(winnow, "ccs", *SMALL, "--percent", 50, "--set", "score=toxicity", "--set", "beta=0.0")
    assert half["recipe"]["params"] == {"score": "toxicity", "beta": 0.0}
    assert half["recipe"]["budget"]["percent"] == 50
    told = selected(winnow, "uniform", *SMALL, "--rows", 2, "--reference", "small")
    assert told["recipe"]["reference"] == "small"


def test_an_option_changes_that_part_of_a_recipe_file_and_no_other(winnow, tmp_path):
    path = tmp_path / "mine.json"
    recipe = {
        "pool": "small", "strategy": "ccs", "method": "sft", "budget": {"rows": 5}, "seed": 3,
        "params": {"score": "toxicity", "beta": 0.0}, "dedup": {"eps": 0.2, "keep": "easy"},
    }  # fmt: skip
    path.write_text(json.dumps(recipe))
    made = selected(winnow, path, "--rows", 4, "--set", "strata=3", "--dedup", 0.1)["recipe"]
    assert made["params"] == {"score": "toxicity", "beta": 0.0, "strata": 3}
    assert made["dedup"] == {"eps": 0.1, "keep": "easy", "clusters": "kmeans"}
    assert made["seed"] == 3 and made["budget"]["rows"] == 4


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet", "rows"])
def test_rows_are_written_in_every_format_with_rank_and_reason(name, winnow, tmp_path):
    code, _, told = winnow("select", "uniform", *SMALL, "--rows", 6, "--out", tmp_path / "new" / name)
    assert code == 0 and "written in plain text (not masked)" in told and "Saving" not in told
    path = tmp_path / "new" / name
    if name == "rows":
        import datasets

        frame = datasets.load_from_disk(str(path)).to_pandas()
    else:
        read = {"jsonl": pd.read_json, "csv": pd.read_csv, "parquet": pd.read_parquet}[path.suffix[1:]]
        frame = read(path, lines=True) if name.endswith("jsonl") else read(path)
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert all(json.loads(reason)["role"] for reason in frame["reason"])
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_a_short_selection_is_told_loudly_and_strict_makes_it_an_error_that_writes_nothing(winnow, tmp_path):
    asked = ("select", "sss", *SMALL, "--rows", 60, "--set", "t1_only=true", "--out", tmp_path / "rows.csv")
    code, out, told = winnow(*asked, "--strict")
    assert code == 2 and out == "" and not (tmp_path / "rows.csv").exists()
    assert told.startswith("winnow: 60 rows were asked, only ") and "nothing was written (--strict)" in told
    code, out, told = winnow(*asked)
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert code == 0 and 0 < len(rows) < 60 and f"shortfall: {60 - len(rows)} rows" in out
    assert told.splitlines()[0] == f"warning: 60 rows were asked, only {len(rows)} could be chosen"
    assert told.splitlines()[1].startswith("warning: ") and "T1 rows are there" in told
    code, out, told = winnow(*asked, "--json")
    assert json.loads(out)["shortfall"] == 60 - len(rows) and told.startswith("warning: ")


def test_what_is_whole_warns_of_nothing_and_strict_lets_it_pass(winnow):
    code, _, told = winnow("select", "uniform", *SMALL, "--rows", 5, "--strict")
    assert (code, told) == (0, "")


def test_a_budget_of_nothing_one_all_and_one_more(winnow, sentence, own):
    n = len(pipeline.eligibility(pipeline.pool(own, "small"), "sft").rows)
    for rows in (0, 1, n):
        assert len(selected(winnow, "uniform", *SMALL, "--rows", rows)["ids"]) == rows
    assert "warning: a budget of 0 was asked" in winnow("select", "uniform", *SMALL, "--rows", 0)[2]
    assert f"only {n} rows are eligible" in sentence("select", "uniform", *SMALL, "--rows", n + 1)
    assert "give the budget as rows, as percent or as tokens" in sentence(
        "select", "uniform", *SMALL, "--rows", 3, "--tokens", 50
    )


def test_scores_without_a_number_ties_and_equal_vectors_are_never_a_traceback(winnow, sentence, own):
    pool = pipeline.pool(own, "small")

    def put(need, values):
        key = pipeline.key_of(own, pipeline.request_for(need, "small"), pool)
        arrays = {"values": values} | ({"membership": np.ones(len(pool))} if need[:7] == "cluster" else {})
        own.signals.put(key, arrays, facts={"direction": "harder", "words": need}, started=0.0)

    asked = ("select", "ccs", *SMALL, "--rows", 9, "--set", "score=toxicity", "--set", "beta=0.0")
    for value in (np.nan, np.inf):
        put("score:toxicity", np.where(np.arange(len(pool)) % 2, value, 0.1))
        assert "toxicity" in sentence(*asked)
    put("score:toxicity", np.full(len(pool), 0.5))
    assert winnow(*asked, "--strict")[0] == 0
    put("vectors:embedding", np.ones((len(pool), 8), np.float32))
    assert winnow("select", "k_center", *SMALL, "--rows", 9, "--strict")[0] == 0


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"bugdet": {"rows": 3}}, "it has no field 'bugdet' (did you mean 'budget'?); its fields are pool, "),
        ({"budget": {"row": 3}}, "budget has no field 'row' (did you mean 'rows'?)"),
        ({"params": {"seeds": 1}}, "strategy 'uniform' has no setting 'seeds'"),
        ({"params": 3}, "params: input should be a valid dictionary"),
        ({"dedup": {"eps": 9}}, "dedup.eps: input should be less than or equal to 0.5"),
        ({"pins": ["nobody"]}, "1 pinned rows are not eligible"),
        ({"reference": "nowhere", "strategy": "uniform"}, "no pool named 'nowhere'"),
    ],
    ids=str,
)
def test_a_recipe_file_with_a_mistake_is_one_sentence(field, said, sentence, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"pool": "small", "strategy": "uniform", "method": "sft"} | field))
    assert said in sentence("select", path)


def test_all_weights_zero_is_a_sentence(sentence):
    zero = [f"--set={name}=0" for name in ("saps", "ccs", "behaviour")]
    assert "all weights are zero" in sentence("select", "blend", *SMALL, *zero)


def test_a_quota_above_its_category_warns_and_one_of_no_category_is_a_sentence(winnow, sentence):
    asked = ("select", "blend", *SMALL, "--rows", 40, "--set=ccs=0", "--set=saps=0", "--set=quota=custom")
    code, _, told = winnow(*asked, '--set=table={"spite": 39}')
    assert code == 0 and told.startswith("warning: ") and "asked 39 of category spite, it has " in told
    assert "names 'spit', which is no category" in sentence(*asked, '--set=table={"spit": 1}')


def test_a_name_that_is_nothing_is_told_what_there_is(sentence, winnow):
    assert "there is no file, saved recipe or strategy 'unifrom'; did you mean 'uniform'?" in sentence(
        "select", "unifrom", *SMALL
    )
    assert "there is no saved recipe 'x'; save one first" in sentence("recipe", "show", "x")
    assert "is no saved recipe, so there are no rows to compare with" in sentence(
        "recipe", "replay", "uniform"
    )


def save(winnow, name="mine", *words):
    made = selected(winnow, "uniform", *SMALL, "--rows", 6, *words)
    code, _, told = winnow("recipe", "save", name, made["key"])
    assert (code, told) == (0, "")
    return made


def test_a_recipe_is_saved_listed_shown_replayed_and_deleted(winnow, sentence, tmp_path):
    made = save(winnow)
    assert winnow("recipe", "list")[1].startswith("mine: uniform on small, 6 rows, 6 of ")
    shown = winnow("recipe", "show", "mine")[1]
    (tmp_path / "shared.json").write_text(shown)
    for words in (
        ("recipe", "replay", "mine"),
        ("recipe", "replay", tmp_path / "shared.json"),
        ("select", "mine"),
        ("select", tmp_path / "shared.json"),
    ):
        code, out, told = winnow(*words, "--json")
        assert (code, told) == (0, "") and json.loads(out)["ids"] == made["ids"]
    assert winnow("recipe", "delete", "mine")[0] == 0
    assert winnow("recipe", "list")[1].startswith("no recipes yet")
    assert "there is no saved recipe 'mine'" in sentence("recipe", "delete", "mine")


def test_a_saved_recipe_can_be_changed_and_is_then_no_replay(winnow):
    made = save(winnow)
    fewer = selected(winnow, "mine", "--rows", 3)
    assert fewer["recipe"]["budget"]["rows"] == 3 and fewer["ids"] == made["ids"][:3]


def test_two_recipes_are_compared_field_by_field(winnow, tmp_path):
    save(winnow)
    save(winnow, "other", "--seed", 2)
    assert winnow("recipe", "diff", "mine", "other")[1] == "seed: 0 -> 2\n"
    assert winnow("recipe", "diff", "mine", "mine")[1] == "no difference\n"
    rows = json.loads(winnow("recipe", "diff", "mine", "other", "--json")[1])
    assert rows == [{"field": "seed", "left": 0, "right": 2}]


def test_a_damaged_recipe_is_a_warning_beside_the_others(winnow, sentence, own):
    save(winnow)
    own.path("recipes", "broken.json").write_text("{")
    code, out, told = winnow("recipe", "list")
    assert code == 0 and out.startswith("mine: ") and len(out.splitlines()) == 1
    assert told.startswith("warning: ") and "broken.json" in told
    assert "broken.json" in sentence("select", "broken")


def edit_pool(own, winnow, tmp_path):
    """Import the small pool again under its name, with one prompt changed."""
    frame = pipeline.pool(own, "small").frame[["id", "prompt", "response", "rejected", "category"]]
    frame.loc[3, "prompt"] = "another question"
    path = tmp_path / "edited.jsonl"
    frame.to_json(path, orient="records", lines=True)
    before = read_manifest(own, "small")["fingerprint"]
    assert winnow("pool", "import", path, "--name", "small", "--replace")[0] == 0
    assert read_manifest(own, "small")["fingerprint"] != before


def test_a_pool_edited_since_is_refused_until_anyway(winnow, sentence, own, tmp_path):
    save(winnow)
    edit_pool(own, winnow, tmp_path)
    for words in (("select", "mine"), ("select", "mine", "--rows", 3), ("recipe", "replay", "mine")):
        told = sentence(*words)
        assert "pool 'small' has changed: other contents (fingerprint " in told and "--anyway" in told
    for words in (("select", "mine"), ("select", "mine", "--rows", 3), ("recipe", "replay", "mine")):
        code, out, _ = winnow(*words, "--anyway")
        assert code == 0 and out.startswith("selection ")


def test_a_stored_selection_of_a_pool_edited_since_cannot_be_saved(winnow, sentence, own, tmp_path):
    made = selected(winnow, "uniform", *SMALL, "--rows", 6)
    edit_pool(own, winnow, tmp_path)
    assert "has changed since these rows were chosen" in sentence("recipe", "save", "mine", made["key"])
    assert "no stored selection '0123456789abcdef'" in sentence("recipe", "save", "m", "0123456789abcdef")


def test_failures_need_a_known_model_protocol_and_name(sentence):
    failures = ("pool", "failures", "--pool", "small", "--model", "tiny", "--name")
    assert "there is no protocol 'slow'" in sentence(*failures, "f", "--protocol", "slow")
    assert "pool name '../f' cannot be used" in sentence(*failures, "../f")
    assert "samples: input should be greater than or equal to 1" in sentence(*failures, "f", "--samples", 0)
    assert "split: input should be 'test' or 'validation'" in sentence(
        "evaluate", "--model", "tiny", "--pool", "small", "--split", "train"
    )


def test_failures_are_kept_as_a_pool_from_the_command_line(winnow, monkeypatch, own, tmp_path):
    frame = pipeline.pool(own, "small").frame[["prompt", "response"]]
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    monkeypatch.setenv("WINNOW_WORKSPACE", str(tmp_path / "over the demo"))
    assert winnow("pool", "import", tmp_path / "rows.jsonl", "--name", "mini")[0] == 0
    asked = ("pool", "failures", "--pool", "mini", "--model", "demo", "--scorer", "demo", "--name", "fails")
    code, out, _ = winnow(*asked, "--prompts", 4, "--samples", 2, "--threshold", 0.0, "--json")
    made = json.loads(out)
    assert code == 0 and 0 < made["rows"] <= 8 and made["counts"]["validation"] == made["rows"]
    assert "by demo" in made["source"] and "at or above 0" in made["source"]
    code, out, _ = winnow(*asked, "--prompts", 4, "--samples", 2, "--threshold", 0.0)
    assert code == 0 and out.startswith(f"pool fails: {made['rows']} toxic continuations of ")
