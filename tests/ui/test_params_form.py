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


def tables():
    from typing import Literal

    import streamlit as st
    from pydantic import Field

    from core.values import Params
    from ui import params_form

    class Tables(Params):
        score: str = Field("el2n", json_schema_extra={"registry": "score"})
        weights: dict[str, float] = Field({}, json_schema_extra={"registry": "score"}, description="W.")
        by: Literal["category", "cluster"] = Field("category")
        quotas: dict[str, float] = Field({}, json_schema_extra={"table": "by"})
        many: tuple[int, ...] = (1,)

    def set_all():
        values = {
            "score": "toxicity",
            "weights": {"loss": -0.5},
            "quotas": {"x": 3.0, "old": 1.0},
            "by": "category",
            "many": [5, 6],
        }
        params_form.fill(Tables, "f", values)

    st.button("set", on_click=set_all, key="set")
    if not st.toggle("away", key="away"):
        found = params_form.params_form(Tables, "f", labels={"category": ["x", "y"], "cluster": ["0"]})
        st.session_state["found"] = found.model_dump()


def test_a_score_is_chosen_by_its_title():
    at = AppTest.from_function(tables).run()
    assert not at.exception and at.session_state["found"]["score"] == "el2n"
    assert "Toxicity" in at.selectbox(key="f.score").options
    at.selectbox(key="f.score").set_value("toxicity").run()
    assert at.session_state["found"]["score"] == "toxicity"


def test_each_score_that_is_added_has_a_weight_slider_from_minus_one_to_one():
    at = AppTest.from_function(tables).run()
    assert at.session_state["found"]["weights"] == {} and len(at.slider) == 0
    at.multiselect(key="f.weights").set_value(["loss", "toxicity"]).run()
    at.slider(key="f.weights.loss").set_value(-1.0).run()
    assert at.session_state["found"]["weights"] == {"loss": -1.0, "toxicity": 0.5}
    at.multiselect(key="f.weights").set_value(["toxicity"]).run()
    assert at.session_state["found"]["weights"] == {"toxicity": 0.5}


def test_a_table_has_a_line_for_every_label_and_empty_ones_do_not_count():
    at = AppTest.from_function(tables).run()
    assert at.data_editor[0].value["label"].tolist() == ["x", "y"]
    assert at.session_state["found"]["quotas"] == {}
    at.selectbox(key="f.by").set_value("cluster").run()
    assert at.data_editor[0].value["label"].tolist() == ["0"]


def test_setting_the_form_from_outside_shows_every_value_even_labels_that_are_not_here():
    at = AppTest.from_function(tables).run()
    at.button(key="set").click().run()
    wanted = {
        "score": "toxicity",
        "weights": {"loss": -0.5},
        "quotas": {"x": 3.0, "old": 1.0},
        "by": "category",
        "many": (5, 6),
    }
    assert not at.exception and at.session_state["found"] == wanted
    assert at.data_editor[0].value["label"].tolist() == ["x", "y", "old"]
    at.selectbox(key="f.by").set_value("cluster").run()  # rows of categories are no rows of clusters
    assert at.session_state["found"]["quotas"] == {} and len(at.data_editor[0].value) == 1
    at.selectbox(key="f.by").set_value("category").run()
    assert at.session_state["found"] == wanted
    for away in (True, False):  # Streamlit forgets what it does not draw
        at.toggle(key="away").set_value(away).run()
    assert not at.exception and at.session_state["found"] == wanted


def test_a_long_form_hides_all_but_the_first_settings_and_a_rule_over_several_is_a_sentence():
    def page():
        import streamlit as st
        from pydantic import Field, model_validator

        from core.values import Params
        from ui.guards import sentences
        from ui.params_form import params_form

        class Long(Params):
            a: float = Field(1.0, ge=0, le=1)
            b: float = Field(1.0, ge=0, le=1)
            c: int = 3
            d: int = 4
            e: int = 5

            @model_validator(mode="after")
            def _some(self):
                if self.a + self.b == 0:
                    raise ValueError("all weights are zero; give one a weight above 0")
                return self

        with sentences():
            st.session_state["found"] = params_form(Long, "f", first=2).model_dump()

    at = AppTest.from_function(page).run()
    assert [e.label for e in at.expander] == ["3 more settings"] and len(at.expander[0].number_input) == 3
    at.slider(key="f.a").set_value(0.0)
    at.slider(key="f.b").set_value(0.0).run()
    assert not at.exception
    assert at.error[0].value.replace("\\", "").startswith("settings: all weights are zero; give one")


def test_settings_that_a_form_brings_along_stand_in_an_expander_of_their_own():
    def page():
        from core.values import Params
        from ui.params_form import params_form

        class StrataParams(Params):
            c: int = 3
            d: int = 4

        class TypeWorths(Params):
            e: int = 5

        class Mine(TypeWorths, StrataParams):
            f: int = 6

        params_form(Mine, "f", first=2)

    at = AppTest.from_function(page).run()
    assert [e.label for e in at.expander] == ["Type worths", "Mine"]
    assert [n.label for n in at.expander[0].number_input] == ["e"] and len(at.number_input) == 4


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
