"""Hostile data and impossible wishes: a whole selection, a told shortfall or a sentence, never less."""

import json

import numpy as np
import pytest

from core import pipeline, selection
from core.errors import BadBudget, BadInput, MissingInput, WinnowError
from core.pool import Mapping, build_pool, read_table, save_pool
from core.selection import STRATEGIES
from core.values import Budget, Recipe
from core.workspace import Workspace, write_json

N = 24  # rows, all in train
COLUMNS = ("id", "prompt", "response", "rejected", "category", "harmful_request", "refusal", "group")
MAPPING = Mapping(columns={name: name for name in COLUMNS})


def ones(n):
    return np.ones((n, 8), dtype=np.float32)


def holes(value):
    """Scores of which a third is `value`."""
    return lambda n: np.where(np.arange(n) % 3 == 0, value, np.arange(n) / n)


ALL_PARTS = {"scores": {"loss": 1.0, "toxicity": -0.5}, "diversity": 0.5, "quota": "equal"}
HOSTILE = {
    "NaN scores": {"score": holes(np.nan)},
    "infinite scores": {"score": holes(np.inf)},
    "minus infinite scores": {"score": holes(-np.inf)},
    "only NaN": {"score": lambda n: np.full(n, np.nan)},
    "ties everywhere": {"score": lambda n: np.full(n, 0.5), "cluster": lambda n: np.zeros(n, np.int64)},
    "all-duplicate embeddings": {"vectors": ones},
    "zero embeddings": {"vectors": lambda n: 0 * ones(n)},
    "NaN embeddings": {"vectors": lambda n: np.nan * ones(n)},
    "all noise": {"cluster": lambda n: np.full(n, -1)},
    "every row a cluster": {"cluster": np.arange},
    "everything the same": {
        "score": lambda n: np.zeros(n),
        "vectors": ones,
        "cluster": lambda n: np.zeros(n, np.int64),
        "tokens": lambda n: np.ones(n),
    },
}


def make_pool(
    ws, name="p", categories=lambda i: [("spite", "gossip", "theft")[i % 3]], t1=lambda i: i % 4 == 0
):
    rows = [
        {
            "id": f"r{i}",
            "prompt": f"ask {i}",
            "response": f"answer {i}",
            "rejected": f"bad answer {i}",
            "category": categories(i),
            "harmful_request": "yes",
            "refusal": "yes" if t1(i) else "no",
            "group": f"g{i}",
        }
        for i in range(N)
    ]
    held = [row | {"id": f"v{row['id']}", "group": f"v{row['group']}"} for row in rows[:6]]
    path = ws.root / f"{name}.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows + held))
    built = build_pool(read_table(path), MAPPING, name=name, fractions=(0.8, 0.2, 0.0))
    save_pool(ws, built, MAPPING, name)
    return built.pool


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    """One pool for all that only changes its signals, and a folder that looks like a model."""
    ws = Workspace.open(tmp_path_factory.mktemp("bad") / "ws", None)
    make_pool(ws)
    write_json(ws.path("models", "tiny", "config.json"), {"model_type": "gpt2"})
    return ws


def attempt(ws, recipe):
    """The selection, checked to be whole or told short, or the sentence in its place."""
    try:
        chosen = pipeline.choose(ws, recipe)
    except WinnowError as error:
        said = str(error)
        assert len(said) > 20 and "\n" not in said and "Traceback" not in said
        return said
    asked = recipe.budget.count(chosen.eligible)
    assert len(chosen.ids) + chosen.shortfall == asked
    assert len(set(chosen.ids)) == len(chosen.ids) == len(chosen.reasons)
    assert not chosen.shortfall or chosen.warnings, "a short selection must say why"
    assert asked or chosen.warnings, "an empty selection must say so"
    json.dumps(chosen.model_dump(mode="json"), allow_nan=False)
    return chosen


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", [*STRATEGIES, "blend with all parts"])
def test_hostile_signals_give_a_whole_selection_or_a_sentence(name, hostile, ws, meet):
    params = ALL_PARTS if " " in name else {}
    asked = {"strategy": name.split()[0], "params": params, "model": "tiny", "method": "sft"}
    recipe = Recipe(pool="p", budget=Budget(rows=7), **asked)
    meet(ws, recipe, **HOSTILE[hostile])
    found = attempt(ws, recipe)
    if "vectors:" in str(selection.needs_of(recipe)) and hostile == "NaN embeddings":
        assert "NaN or infinity; embed" in found


@pytest.mark.parametrize("budget", [0, 1, "n", "n+1", -1])
@pytest.mark.parametrize("name", list(STRATEGIES))
def test_budgets_at_and_beyond_the_ends(name, budget, ws, meet):
    n = len(pipeline.eligibility(pipeline.pool(ws, "p"), "sft").rows)
    rows = {"n": n, "n+1": n + 1}.get(budget, budget)
    recipe = Recipe(pool="p", strategy=name, budget=Budget(rows=rows), model="tiny", method="sft")
    meet(ws, recipe)
    found = attempt(ws, recipe)
    if budget in ("n+1", -1):
        assert found.startswith(f"a budget of {rows} rows was asked") and str(n) in found
    elif budget == 0:
        assert found.ids == () and found.warnings == ("a budget of 0 was asked: nothing is selected",)
    else:
        assert len(found.ids) + found.shortfall == rows


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_told_by_name_where_a_strategy_needs_all_of_them(score, empty, meet):
    make_pool(empty)
    recipe = Recipe(
        pool="p", strategy="ccs", params={"score": "toxicity"}, budget=Budget(rows=5), method="sft"
    )
    meet(empty, recipe, score=holes(score))
    with pytest.raises(BadInput, match="toxicity"):
        pipeline.choose(empty, recipe)


def test_no_categories_at_all_is_told_with_the_way_out(empty):
    make_pool(empty, categories=lambda i: [])
    recipe = Recipe(pool="p", strategy="sss", budget=Budget(rows=5), method="sft")
    with pytest.raises(MissingInput, match="harm categories: import it again and map a column to category"):
        pipeline.choose(empty, recipe)


def test_categories_without_an_eligible_row_are_named(empty):
    pool = make_pool(empty, t1=lambda i: i % 3 == 0)  # all T1 rows are of the first category
    eligible = set(pool.frame["id"].iloc[pipeline.eligibility(pool, "sft").rows])
    recipe = Recipe(pool="p", strategy="sss", params={"t1_only": True}, budget=Budget(rows=3), method="sft")
    chosen = pipeline.choose(empty, recipe)
    assert len(chosen.ids) == 3 and set(chosen.ids) <= eligible
    assert any("gossip" in w and "theft" in w for w in chosen.warnings)


def test_fewer_t1_rows_than_asked_is_a_told_shortfall_and_no_other_type_fills_it(empty):
    pool = make_pool(empty)
    behaviour = dict(zip(pool.frame["id"], pool.frame["behaviour"], strict=True))
    there = [i for i in pool.frame["id"].iloc[pipeline.eligibility(pool, "sft").rows] if behaviour[i] == "T1"]
    recipe = Recipe(pool="p", strategy="sss", params={"t1_only": True}, budget=Budget(rows=20), method="sft")
    chosen = pipeline.choose(empty, recipe)
    assert set(chosen.ids) == set(there)
    assert chosen.shortfall == 20 - len(there) > 0
    assert any(f"only {len(there)} T1 rows are there" in w for w in chosen.warnings)


@pytest.mark.parametrize("budget", [{"percent": -1.0}, {"tokens": -5}, {"rows": 10**9}])
def test_a_budget_that_cannot_be_met_is_a_sentence_with_the_bound(budget, empty, meet):
    make_pool(empty)
    recipe = Recipe(pool="p", strategy="uniform", budget=Budget(**budget), method="sft")
    meet(empty, recipe)
    with pytest.raises(BadBudget, match=r"give 0 (to \d+|or more)|at most \d+"):
        pipeline.choose(empty, recipe)


def quotas(table, rows=9, **params):
    params |= {"ccs": 0.0, "saps": 0.0, "quota": "custom", "table": table}
    return Recipe(pool="p", strategy="blend", params=params, budget=Budget(rows=rows), method="sft")


def test_a_quota_above_its_category_is_told_and_the_rest_is_filled_up(ws):
    chosen = pipeline.choose(ws, quotas({"spite": 9}))
    kinds = dict(zip(pipeline.pool(ws, "p").ids, pipeline.pool(ws, "p").frame["category"], strict=True))
    eligible = pipeline.pool(ws, "p").frame.iloc[pipeline.eligibility(pipeline.pool(ws, "p"), "sft").rows]
    there = sum(kinds[i] == ["spite"] for i in eligible["id"])
    assert there < 9 and sum(kinds[i] == ["spite"] for i in chosen.ids) == there
    assert f"asked 9 of category spite, it has {there}" in chosen.warnings
    assert len(chosen.ids) == 9 and chosen.shortfall == 0


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"nobody": 2},
            "names 'nobody', which is no category of these rows; there are: spite, gossip, theft",
        ),
        ({"spite": 5, "theft": 6}, "asks for 11 rows, more than the budget of 9"),
        ({"spite": -1}, "spite = -1 is not a number of rows"),
        ({"spite": 1.5}, "spite = 1.5 is not a number of rows"),
    ],
)
def test_a_quota_that_cannot_be_is_a_sentence(table, said, ws):
    with pytest.raises((BadInput, BadBudget), match=said):
        pipeline.choose(ws, quotas(table))


@pytest.mark.parametrize("params", [{}, {"scores": {"loss": 0.0}}])
def test_weights_that_are_all_zero_are_a_sentence(params, ws):
    zero = dict.fromkeys(("saps", "ccs", "behaviour"), 0.0) | params
    recipe = Recipe(pool="p", strategy="blend", params=zero, budget=Budget(rows=3), method="sft")
    with pytest.raises(BadInput, match="all weights are zero; give saps, ccs, behaviour or a score a weight"):
        pipeline.choose(ws, recipe)
