"""The form of a plugin is drawn from its fields: each kind has a widget, wrong input is a sentence."""

from streamlit.testing.v1 import AppTest


def form():
    from typing import Literal

    import streamlit as st
    from pydantic import Field

    from core.values import Params
    from ui.guards import sentences
    from ui.params_form import params_form

    class Everything(Params):
        count: int = Field(3, ge=1, le=9, description="How many.")
        rate: float = Field(1e-6, gt=0, description="How fast.")
        share: float = Field(0.5, ge=0, le=1, description="How much.")
        on: bool = Field(False, description="Whether.")
        kind: Literal["a", "b"] = Field("b", description="Which.")
        name: str = Field("x", description="Who.")
        limit: int | None = Field(None, ge=1, description="At most.")
        many: tuple[int, ...] = Field((1, 2), description="List.")

    with sentences():
        found = params_form(Everything, "f", {"count": 5})
        st.session_state["found"] = found.model_dump()


def test_unchanged_widgets_give_the_defaults_and_the_start_values():
    at = AppTest.from_function(form).run()
    assert not at.exception
    assert at.session_state["found"] == {
        "count": 5,
        "rate": 1e-6,
        "share": 0.5,
        "on": False,
        "kind": "b",
        "name": "x",
        "limit": None,
        "many": (1, 2),
    }


def test_every_kind_of_field_can_be_set_within_its_bounds():
    at = AppTest.from_function(form).run()
    assert (at.number_input(key="f.count").min, at.number_input(key="f.count").max) == (1, 9)
    assert at.number_input(key="f.count").help == "How many."
    at.number_input(key="f.count").set_value(7)
    at.slider(key="f.share").set_value(0.25)
    at.toggle(key="f.on").set_value(True)
    at.selectbox(key="f.kind").set_value("a")
    at.text_input(key="f.name").set_value("y")
    at.number_input(key="f.limit").set_value(4)
    at.text_input(key="f.many").set_value("[5]").run()
    found = at.session_state["found"]
    assert (found["count"], found["share"], found["on"], found["kind"]) == (7, 0.25, True, "a")
    assert (found["name"], found["limit"], found["many"]) == ("y", 4, (5,))


def test_what_does_not_fit_is_a_sentence_that_names_the_field():
    at = AppTest.from_function(form).run()
    at.number_input(key="f.rate").set_value(0.0).run()
    assert not at.exception and "rate" in at.error[0].value
    at = AppTest.from_function(form).run()
    at.text_input(key="f.many").set_value("[5").run()
    assert not at.exception and "many" in at.error[0].value


def test_every_strategy_and_repair_method_has_a_form_that_draws_its_defaults():
    def page():
        import streamlit as st

        from core.repair import METHODS
        from core.selection import STRATEGIES
        from ui.params_form import params_form

        same = []
        for table in (STRATEGIES, METHODS):
            for name in table:
                same.append((name, params_form(table[name].params, name) == table[name].params()))
        st.session_state["same"] = same

    at = AppTest.from_function(page).run(timeout=20)
    assert not at.exception
    assert [name for name, same in at.session_state["same"] if not same] == []
