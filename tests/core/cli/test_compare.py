"""`compare` and `why` at a terminal: the numbers of the page, in a table or as json; mistakes a sentence."""

import json

import pytest

from core import pipeline
from core.values import Budget, Recipe
from core.workspace import Workspace


@pytest.fixture
def winnow(small, command_line):
    return command_line(small)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "mine.json"
    recipe = Recipe(pool="small", strategy="saps", method="sft", budget=Budget(rows=6), params={"rho": 0.0})
    path.write_text(recipe.model_dump_json())
    return path


ON = ("--pool", "small", "--method", "sft", "--rows", "10")


def test_arms_overlap_and_cost_stand_in_one_table(winnow):
    code, out, _ = winnow("compare", "uniform", "k_center", "saps", *ON)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].endswith("eligible rows")
    assert lines[1].split()[:4] == ["rows", "tokens", "radius", "in"]
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["uniform", "10"],
        ["k_center", "10"],
        ["saps", "10"],
    ]
    assert "Jaccard (expected by chance)" in out and "1.000 (1.000)" in out
    assert "rows in exactly these" in out
    assert lines[-1].startswith("Training would take about") and "3 measured sft runs" in lines[-1]


def test_json_holds_what_the_page_is_drawn_from(winnow, small, saved):
    code, out, _ = winnow("compare", saved, "uniform", *ON, "--json")
    found = json.loads(out)
    assert code == 0 and [arm["name"] for arm in found["arms"]] == ["mine", "uniform"]
    choices = [
        pipeline.Desk(small).choose(
            Recipe(pool="small", strategy=name, method="sft", budget=Budget(rows=10), params=params)
        )
        for name, params in (("saps", {"rho": 0.0}), ("uniform", {}))
    ]
    same = pipeline.compare(choices)
    assert found["jaccard"] == same.jaccard.tolist() and found["expected"] == same.expected.tolist()
    assert [arm["radius"] for arm in found["arms"]] == [arm.radius for arm in same.arms]
    assert [arm["category_kl"] for arm in found["arms"]] == [arm.category_kl for arm in same.arms]
    assert sum(part["rows"] for part in found["intersections"]) == len(
        set(choices[0].selection.ids) | set(choices[1].selection.ids)
    )


def test_a_row_is_explained_whether_chosen_or_not(winnow, small):
    recipe = Recipe(pool="small", strategy="uniform", method="sft", budget=Budget(rows=10))
    chosen = pipeline.choose(small, recipe).ids
    other = next(i for i in pipeline.choose(small, recipe.model_copy(update={"budget": Budget(rows=40)})).ids
                 if i not in chosen)  # fmt: skip
    code, out, _ = winnow("why", "uniform", chosen[2], *ON)
    assert code == 0 and out.startswith(f"{chosen[2]}: chosen\n  It was taken as number 3 of 10")
    code, out, _ = winnow("why", "uniform", other, *ON)
    assert out.startswith(f"{other}: not chosen\n") and "It would be taken from a budget of" in out
    assert "nearest chosen rows by cosine in embedding: " in out
    found = json.loads(winnow("why", "uniform", other, *ON, "--json")[1])
    assert found["chosen"] is False and found["rank"] is None and len(found["nearest"]) == 3
    assert "holds no row 'nobody'" in winnow("why", "uniform", "nobody", *ON)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "sapz", *ON), "did you mean 'saps'"),
        (("compare", "/nowhere.json", "uniform"), "there is no file /nowhere.json"),
        (("compare", "uniform"), "the field 'pool' is missing"),
        (("why", "uniform", "r1", *ON, "--percent", "5"), "as one of them only"),
        (("why", "uniform", "r1", "--pool", "nobody"), "no pool named 'nobody'"),
        (("compare", "uniform", "--pool", "small", "--rows", "9999"), "only"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(winnow, words, said):
    code, out, told = winnow(*words)
    assert (code, out) == (2, "") and told.startswith("winnow: ") and said in told
    assert len(told.strip().splitlines()) == 1


def test_a_saved_recipe_is_compared_by_its_name_and_a_changed_pool_is_told(winnow, tmp_path, monkeypatch):
    demo = Workspace.open(tmp_path / "ws")
    monkeypatch.setenv("WINNOW_WORKSPACE", str(demo.root))
    chosen = pipeline.choose(demo, Recipe(pool="demo", strategy="uniform", budget=Budget(rows=20)))
    pipeline.save_recipe(demo, "first", chosen)
    code, out, told = winnow("compare", "first", "uniform", "--pool", "demo", "--rows", "20")
    assert code == 0 and told == ""
    assert out.splitlines()[2].startswith("first") and "1.000 (0.00" in out  # the same rows
    _, _, told = winnow("compare", "first", "--pool", "demo-normal", "--method", "sft", "--rows", "5")
    assert told.startswith("warning: recipe 'first' chooses anew, its pool was another: ")
