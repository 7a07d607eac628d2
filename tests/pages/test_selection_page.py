"""The workbench: tuning, comparing, explaining, pins and bans, undo and redo, saved recipes."""

import shutil

import pytest

from core import pipeline
from core.pool import build_pool, guess_mapping, load_pool, read_table, save_pool
from core.selection import STRATEGIES
from core.values import Budget, Recipe, SemDedup
from ui import hand_changes, recipe_form, tray
from ui.history import History

METHOD = "dpo"


def pool_of(ws):
    return load_pool(ws, "small")


def eligible_ids(ws):
    pool = pool_of(ws)
    return [pool.ids[r] for r in pipeline.eligibility(pool, METHOD).rows]


def chosen(at):
    return at.session_state["choice"]


def words(at):
    """All sentences of the page."""
    parts = [*at.markdown, *at.caption, *at.warning, *at.error, *at.info, *at.success]
    return " ".join(str(p.value) for p in parts).replace("\\", "")


def healthy(at):
    assert not at.exception, at.exception
    return at


def view(at, name):
    return healthy(at.segmented_control(key="selection.view").set_value(name).run())


def add(at, strategy):
    at.selectbox(key="strategy").set_value(strategy).run()
    return healthy(at.button(key="selection.add").click().run())


class TestForm:
    def test_a_budget_may_be_in_tokens_and_is_not_exceeded(self, small, opened):
        at = opened("selection", small)
        at.segmented_control(key="selection.unit").set_value("tokens").run()
        at.slider(key="selection.tokens").set_value(100).run()
        found = chosen(healthy(at))
        assert found.recipe.budget == Budget(rows=None, percent=None, tokens=100)
        assert len(found.ids) == 8 and found.tokens == 96  # 12 tokens a row

    def test_the_unit_may_change_without_changing_how_many_rows(self, small, opened):
        at = opened("selection", small)
        at.slider(key="selection.percent").set_value(33.0).run()
        before = len(chosen(at).ids)
        at.segmented_control(key="selection.unit").set_value("rows").run()
        assert chosen(healthy(at)).recipe.budget.rows == before == len(chosen(at).ids)

    def test_the_box_beside_the_slider_sets_the_exact_number(self, small, opened):
        at = opened("selection", small)
        at.number_input(key="selection.percent.typed").set_value(12.5).run()
        assert at.number_input(key="selection.percent.typed").value is None
        assert at.slider(key="selection.percent").value == 12.5
        assert chosen(at).recipe.budget.percent == 12.5

    def test_every_strategy_tells_its_source_and_what_it_is_for(self, small, opened):
        at = opened("selection", small)
        for name in recipe_form.order():
            at.selectbox(key="strategy").set_value(name).run()
            spec = STRATEGIES[name]
            assert spec.source in words(at) and recipe_form.what_for(spec) in words(at)

    def test_near_duplicates_are_set_aside_and_counted(self, small, opened):
        at = opened("selection", small)
        at.toggle(key="selection.dedup").set_value(True).run()
        at.slider(key="selection.dedup.eps").set_value(0.5).run()
        found = chosen(healthy(at))
        assert found.recipe.dedup == SemDedup(eps=0.5)
        assert found.set_aside > 0 and f"{found.set_aside:,} near-duplicates" in words(at)

    def test_the_reference_pool_is_asked_for_only_where_it_is_read(self, small, opened):
        asking = {
            name
            for name in STRATEGIES
            if any(n.startswith("reference:") for n in STRATEGIES[name].needs(STRATEGIES[name].params()))
        }
        at = opened("selection", small)
        for name in {"uniform", *asking}:
            at.selectbox(key="strategy").set_value(name).run()
            shown = "selection.reference" in [s.key for s in at.selectbox]
            assert shown == (name in asking)

    def test_a_shortfall_is_said_loudly_with_its_reason(self, small, opened):
        ids = eligible_ids(small)
        at = opened("selection", small, **{"bans:small": tuple(ids[:-3])})
        at.segmented_control(key="selection.unit").set_value("rows").run()
        at.slider(key="selection.rows").set_value(10).run()
        assert not at.exception and chosen(at).shortfall == 7
        assert "Asked for 10 rows, got 3" in at.error[0].value and "banned" in at.error[0].value


class TestMarks:
    def mark(self, at, text, which):
        at.text_area(key="selection.ids").set_value(text)
        return healthy(at.button(key=f"selection.{which}").click().run())

    def test_ids_in_the_box_are_pinned_whatever_separates_them(self, small, opened):
        a, b, c = eligible_ids(small)[-3:]
        at = self.mark(opened("selection", small), f" {a}, {b}\n{c},,{a}", "pin")
        assert chosen(at).recipe.pins == (a, b, c) and chosen(at).ids[:3] == (a, b, c)

    def test_unknown_ids_are_told_and_stay_in_the_box(self, small, opened):
        a = eligible_ids(small)[0]
        at = self.mark(opened("selection", small), f"{a}, nobody, nowhere", "ban")
        assert chosen(at).recipe.bans == (a,) and a not in chosen(at).ids
        assert "2 of 3 ids are not in small: nobody, nowhere" in words(at)
        assert at.text_area(key="selection.ids").value == "nobody\nnowhere"

    def test_a_row_is_never_pinned_and_banned(self, small, opened):
        a = eligible_ids(small)[0]
        at = self.mark(self.mark(opened("selection", small), a, "pin"), a, "ban")
        assert (chosen(at).recipe.pins, chosen(at).recipe.bans) == ((), (a,))

    def test_an_id_is_taken_back_by_crossing_it_out(self, small, opened):
        a, b = eligible_ids(small)[:2]
        at = self.mark(opened("selection", small), f"{a},{b}", "pin")
        next(m for m in at.multiselect if m.label == "Pinned").set_value([b]).run()
        assert chosen(healthy(at)).recipe.pins == (b,)

    def test_a_pin_that_cannot_be_learnt_from_rests_and_is_told(self, small, opened):
        idle = next(i for i in pool_of(small).ids if i not in eligible_ids(small))
        at = opened("selection", small, **{"pins:small": (idle, eligible_ids(small)[0])})
        assert not at.error and chosen(at).recipe.pins == (eligible_ids(small)[0],)
        assert "1 of 2 pinned rows are not eligible" in words(at) and idle in words(at)


class TestUndo:
    def test_undo_and_redo_bring_back_budget_settings_and_marks(self, small, opened):
        at = opened("selection", small)
        at.selectbox(key="strategy").set_value("saps").run()
        at.slider(key="selection.percent").set_value(40.0).run()
        at.slider(key="strategy.saps.rho").set_value(0.9).run()
        at.text_area(key="selection.ids").set_value(eligible_ids(small)[0])
        at.button(key="selection.pin").click().run()
        seen = [chosen(at).recipe]
        for _ in range(4):
            at.button(key="selection.undo").click().run()
            seen.append(chosen(healthy(at)).recipe)
        assert [r.strategy for r in seen] == ["saps"] * 4 + ["uniform"]
        assert [len(r.pins) for r in seen] == [1, 0, 0, 0, 0]
        assert [r.params.get("rho") for r in seen] == [0.9, 0.9, 0.5, 0.5, None]
        assert [r.budget.percent for r in seen] == [40.0, 40.0, 40.0, 10.0, 10.0]
        for recipe in reversed(seen[:-1]):
            at.button(key="selection.redo").click().run()
            assert chosen(healthy(at)).recipe == recipe

    def test_the_buttons_rest_when_there_is_nothing_to_do_and_a_change_clears_redo(self, small, opened):
        at = opened("selection", small)
        assert at.button(key="selection.undo").disabled and at.button(key="selection.redo").disabled
        at.slider(key="selection.percent").set_value(40.0).run()
        at.button(key="selection.undo").click().run()
        assert at.button(key="selection.undo").disabled and not at.button(key="selection.redo").disabled
        at.slider(key="selection.percent").set_value(50.0).run()
        assert at.button(key="selection.redo").disabled

    def test_what_a_browser_sends_that_has_not_heard_of_the_undo_is_no_change(
        self, small, opened, monkeypatch
    ):
        at = opened("selection", small)
        at.slider(key="selection.percent").set_value(40.0).run()
        at.button(key="selection.undo").click().run()
        at.slider(key="selection.percent").set_value(40.0).run()  # the old value, right after the step
        assert chosen(healthy(at)).recipe.budget.percent == 10.0
        assert not at.button(key="selection.redo").disabled
        monkeypatch.setattr(hand_changes, "ECHO", 0.0)
        at.slider(key="selection.percent").set_value(40.0).run()  # the same later, by hand
        assert chosen(healthy(at)).recipe.budget.percent == 40.0
        assert at.button(key="selection.redo").disabled

    def test_the_form_takes_any_recipe_and_gives_it_back(self, small, opened):
        """What undo, redo and load rest on: a field that does not come back would be a new change."""
        at = opened("selection", small)
        pool, (pin, ban) = pool_of(small), eligible_ids(small)[:2]
        for i, name in enumerate(STRATEGIES):
            budgets = (Budget(rows=9), Budget(rows=None, percent=0.3), Budget(rows=None, tokens=240))
            recipe = Recipe(
                pool="small",
                strategy=name,
                params=STRATEGIES[name].params().model_dump(mode="json"),
                budget=budgets[i % 3],
                seed=i + 1,
                method="sft",
                pins=(pin,),
                bans=(ban,),
                dedup=SemDedup(eps=0.2, keep="easy") if i % 2 else None,
                template="prompt",
                model="tiny",
                scorer="original",
            )
            before = hand_changes.Hand(recipe, (pin,), (ban,))
            at.session_state[hand_changes.key(pool)] = History((), before)
            at.run()  # the form's own state comes after it
            at.button(key="selection.undo").click().run()
            assert not at.exception
            found = at.session_state[hand_changes.key(pool)].present
            assert pipeline.diff(found.recipe, recipe) == [], name
            assert found == before


class TestPools:
    @pytest.fixture
    def two(self, small, tmp_path):
        """The small workspace with a second pool, whose rows have no rejected side."""
        shutil.copytree(small.root, tmp_path / "ws")
        ws = type(small).open(tmp_path / "ws", None)
        source = tmp_path / "plain.csv"
        source.write_text("prompt,response\n" + "".join(f"hello {i},there {i}\n" for i in range(30)))
        raw = read_table(source)
        save_pool(ws, build_pool(raw, guess_mapping(raw), name="plain"), guess_mapping(raw), "plain.csv")
        return ws

    def test_each_pool_keeps_its_own_settings_and_a_new_one_gets_a_method_it_has_rows_for(self, two, opened):
        at = opened("selection", two, pool="small")
        at.segmented_control(key="selection.unit").set_value("rows").run()
        at.slider(key="selection.rows").set_value(40).run()
        assert chosen(healthy(at)).recipe.method == "dpo"
        at.session_state["pool"] = "plain"
        at.run()
        assert not at.exception and not at.error
        assert chosen(at).recipe.pool == "plain" and chosen(at).recipe.method != "dpo"
        assert chosen(at).recipe.budget.rows == chosen(at).eligible < 40
        at.session_state["pool"] = "small"
        at.run()
        assert chosen(healthy(at)).recipe.method == "dpo" and chosen(at).recipe.budget.rows == 40


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


def test_the_form_is_as_it_was_after_a_look_at_another_view(small, opened):
    at = opened("selection", small)
    at.selectbox(key="strategy").set_value("saps").run()
    at.slider(key="strategy.saps.rho").set_value(0.9).run()
    at.segmented_control(key="selection.unit").set_value("rows").run()
    at.slider(key="selection.rows").set_value(11).run()
    at.toggle(key="selection.dedup").set_value(True).run()
    before = chosen(at).recipe
    for name in ("Compare", "Recipes", "Tune"):
        view(at, name)
    assert chosen(at).recipe == before
    assert len(at.session_state[hand_changes.key(pool_of(small))].past) == 5
