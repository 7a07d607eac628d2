"""The workbench tunes: form, budget, pins and bans, undo and redo, a pool's own settings."""

import shutil

import pytest

from core import pipeline
from core.pool import build_pool, guess_mapping, read_table, save_pool
from core.selection import STRATEGIES
from core.values import Budget, Recipe, SemDedup
from tests.pages.steps import chosen, eligible_ids, healthy, pool_of, view, words
from ui import hand_changes, recipe_form
from ui.history import History


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

    def test_a_method_without_rows_is_a_sentence_and_can_be_undone(self, two, opened):
        at = opened("selection", two, pool="plain")
        before = chosen(at).recipe
        at.selectbox(key="selection.method").set_value("dpo").run()
        assert not at.exception and "choose another method" in at.error[0].value
        at.button(key="selection.undo").click().run()
        assert not at.error and chosen(healthy(at)).recipe == before


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
