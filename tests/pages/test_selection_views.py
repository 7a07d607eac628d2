"""The workbench compares, explains and keeps: recipes side by side, why a row, saved recipes."""

import shutil

import pytest

from core import pipeline
from core.values import Budget, Recipe
from tests.pages.steps import add, chosen, eligible_ids, healthy, pool_of, view, words
from ui import tray


class TestCompare:
    def test_an_empty_tray_teaches_the_next_step(self, small, opened):
        at = view(opened("selection", small, **{"selection.view": "Compare"}), "Compare")
        assert "Nothing to compare yet" in words(at)

    def test_arms_stand_side_by_side_with_the_current_settings(self, small, opened):
        at = add(opened("selection", small), "k_center")
        add(at, "sss")
        at.slider(key="selection.percent").set_value(50.0).run()
        at = view(at, "Compare")
        table = at.dataframe[0].value
        assert table["arm"].tolist()[-1] == "Current settings" and len(table) == 3
        assert table["rows"].tolist() == [5, 5, 25]
        assert {
            "coverage radius",
            "AUCpr",
            "redundancy",
            "category KL",
            "behaviour KL",
            "repair",
            "tokens",
        } <= set(table)
        assert "Best coverage of the" in words(at)
        at.toggle(key="compare.now").set_value(False).run()
        assert len(healthy(at).dataframe[0].value) == 2

    @pytest.mark.parametrize("what", ["Overlap", "Balance", "Scores"])
    def test_each_kind_of_chart_opens(self, what, small, opened):
        at = view(add(add(opened("selection", small), "k_center"), "uniform"), "Compare")
        at.segmented_control(key="compare.show").set_value(what).run()
        assert (
            not at.exception
            and not at.error
            and len(at.get("plotly_chart")) == (1 if what == "Scores" else 2)
        )

    def test_six_fit_a_seventh_does_not_and_a_removed_one_gives_its_colour_back(self, small, opened):
        at = opened("selection", small)
        for percent in (10.0, 20.0, 30.0, 40.0, 50.0, 60.0):
            at.slider(key="selection.percent").set_value(percent).run()
            at.button(key="selection.add").click().run()
        at.slider(key="selection.percent").set_value(70.0).run()
        assert at.button(key="selection.add").disabled
        at = view(at, "Compare")
        assert len(at.dataframe[0].value) == 6
        at.button(key="chip.2").click().run()
        held = at.session_state[tray.key(pool_of(small))]
        assert [arm.slot for arm in held] == [0, 1, 3, 4, 5] and not at.exception

    def test_an_arm_can_be_tuned_further(self, small, opened):
        at = add(opened("selection", small), "k_center")
        at.selectbox(key="strategy").set_value("uniform").run()
        at = view(at, "Compare")
        at.button(key="chip.load.0").click().run()
        assert not at.exception and at.session_state["selection.view"] == "Tune"
        assert chosen(at).recipe.strategy == "k_center"

    def test_arms_of_different_methods_are_refused_in_a_sentence(self, small, opened):
        at = add(opened("selection", small), "uniform")
        at.selectbox(key="selection.method").set_value("sft").run()
        at = view(at, "Compare")
        assert not at.exception and "same eligible rows" in at.error[0].value


class TestWhy:
    def ask(self, small, opened, row_id, **state):
        at = opened("selection", small, **{"selection.show": "Why"} | state)
        return healthy(at.text_input(key="selection.why").set_value(row_id).run())

    def test_a_chosen_row_is_explained(self, small, opened):
        first = chosen(opened("selection", small)).ids[0]
        at = self.ask(small, opened, first)
        assert f"**{first}** is chosen" in words(at)

    def test_a_row_that_is_not_chosen_can_be_pinned_there(self, small, opened):
        at = opened("selection", small)
        other = next(i for i in eligible_ids(small) if i not in chosen(at).ids)
        at = self.ask(small, opened, other)
        assert f"**{other}** is not chosen" in words(at)
        at.button(key="why.Pin").click().run()
        assert chosen(healthy(at)).ids[0] == other
        at.button(key="why.Pin").click().run()
        assert chosen(healthy(at)).recipe.pins == ()

    def test_an_unknown_id_is_a_sentence(self, small, opened):
        at = self.ask(small, opened, "nobody")
        assert "nobody" in at.warning[0].value

    def test_the_example_beside_the_answer_is_masked(self, small, opened):
        harmful = next(i for i in eligible_ids(small) if int(i[1:]) % 4 != 3)
        at = self.ask(small, opened, harmful)
        texts = " ".join(t.value for t in at.text)
        tables = " ".join(f.value.to_csv() for f in at.dataframe)
        assert "h•••" in texts and "h•••" in tables
        assert "horrible" not in texts + tables + repr(at.main)


class TestRecipes:
    @pytest.fixture
    def ws(self, small, tmp_path):
        """A copy, since recipes are written."""
        shutil.copytree(small.root, tmp_path / "ws")
        return type(small).open(tmp_path / "ws", None)

    def save(self, at, name):
        at.text_input(key="recipe.name").set_value(name).run()
        return healthy(at.button(key="recipe.save").click().run())

    def test_a_saved_recipe_is_listed_loaded_and_replayed_to_the_same_rows(self, ws, opened):
        at = opened("selection", ws)
        at.selectbox(key="strategy").set_value("saps").run()
        at.slider(key="strategy.saps.rho").set_value(0.8).run()
        at = self.save(at, "edges")
        ids = chosen(at).ids
        at.selectbox(key="strategy").set_value("uniform").run()
        at = view(at, "Recipes")
        assert at.dataframe[0].value["name"].tolist() == ["edges"]
        at.button(key="recipes.replay").click().run()
        assert f"The same {len(ids)} rows" in at.success[0].value
        at.button(key="recipes.load").click().run()
        assert chosen(healthy(at)).ids == ids and chosen(at).recipe.params["rho"] == 0.8

    def test_two_recipes_are_compared_field_by_field(self, ws, opened):
        at = self.save(opened("selection", ws), "small-one")
        at.slider(key="selection.percent").set_value(60.0).run()
        at = view(at, "Recipes")
        changes = at.dataframe[-1].value
        assert changes["field"].tolist() == ["budget.percent"]
        assert (changes["left"][0], changes["right"][0]) == ("60.0", "10.0")

    def test_a_taken_name_is_refused_until_replacing_is_asked(self, ws, opened):
        at = self.save(opened("selection", ws), "mine")
        at.slider(key="selection.percent").set_value(60.0).run()
        at.button(key="recipe.save").click().run()
        assert "there is a recipe" in words(at)
        at.checkbox(key="recipe.replace").set_value(True).run()
        at.button(key="recipe.save").click().run()
        assert pipeline.load_recipe(ws, "mine").recipe.budget.percent == 60.0

    def test_a_recipe_of_another_pool_is_refused_with_what_differs_and_may_be_taken_over(self, ws, opened):
        saved = pipeline.save_recipe(
            ws, "far", pipeline.choose(ws, Recipe(pool="small", strategy="uniform", budget=Budget(rows=5)))
        )
        far = saved.model_copy(update={"pool_fingerprint": "0" * 64, "rows": 7})
        path = ws.path("recipes", "far.json")
        path.write_text(far.model_dump_json())
        at = view(opened("selection", ws), "Recipes")
        at.button(key="recipes.load").click().run()
        assert "80 rows instead of 7" in words(at)
        at.button(key="recipes.replay").click().run()
        assert not at.exception and "80 rows instead of 7" in words(at)
        at.button(key="recipes.load").click().run()
        at.button(key="recipes.anyway").click().run()
        assert chosen(healthy(at)).recipe.budget == Budget(rows=5)

    def test_a_deleted_recipe_is_gone(self, ws, opened):
        at = view(self.save(opened("selection", ws), "gone"), "Recipes")
        at.button(key="recipes.delete").click().run()
        assert not at.exception and pipeline.recipes(ws) == []

    def test_an_uploaded_recipe_sets_the_form(self, ws, opened):
        at = view(opened("selection", ws), "Recipes")
        recipe = Recipe(pool="elsewhere", strategy="k_center", budget=Budget(rows=3), pins=("nobody",))
        at.file_uploader(key="recipes.file").upload("r.json", recipe.model_dump_json().encode()).run()
        at.button(key="recipes.upload").click().run()
        assert chosen(healthy(at)).recipe.strategy == "k_center" and len(chosen(at).ids) == 3
