"""Every page opens on an empty and on a small built workspace, and shows nothing unmasked."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import pipeline
from core.demo import plan
from core.jobs import Jobs
from core.pool import list_pools, load_pool
from core.selection import STRATEGIES
from core.workspace import Workspace
from core.workspace.store import SHIPPED

ROOT = Path(__file__).parents[2]
NAMES = sorted(p.stem for p in (ROOT / "pages").glob("*.py"))
SECRET = "horrible"


def everything(at):
    """All that the page would send: elements and tables."""
    tables = (f.value.to_csv() for f in at.dataframe)
    return " ".join([repr(at.main), *(t.value for t in at.text), *tables])


def outline(pool):
    """A lasso around the whole map, as the page keeps it."""
    return {f"map.drawn:{pool.fingerprint}:map": [np.array([(-99, -99), (99, -99), (99, 99), (-99, 99)])]}


@pytest.mark.parametrize("name", NAMES)
def test_opens_on_an_empty_workspace_and_teaches_the_next_step(name, empty, opened):
    at = opened(name, empty)
    assert not at.exception and not at.error
    words = " ".join(e.value for e in [*at.markdown, *at.info, *at.caption]).lower()
    assert "import" in words


@pytest.mark.parametrize("name", NAMES)
def test_opens_on_a_small_workspace(name, small, opened):
    at = opened(name, small)
    assert not at.exception and not at.error and len(at.title) == 1


def test_every_page_is_reachable_from_the_app(small):
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=30)
    app.session_state["workspace"] = small
    assert app.run().title[0].value == "Winnow"
    titles = [app.switch_page(f"../pages/{name}.py").run().title[0].value for name in NAMES]
    assert not app.exception and titles == ["Map", "Winnow", "Pool", "Repair", "Selection", "Trade-off"]


@pytest.mark.parametrize("name", NAMES)
def test_no_harmful_word_is_sent_until_the_switch_is_on(name, small, opened):
    drawn = outline(load_pool(small, "small"))
    assert SECRET not in everything(opened(name, small, **drawn))


@pytest.mark.parametrize("name", ["pool", "map"])
def test_the_switch_reveals_and_benign_rows_are_plain_all_along(name, small, opened):
    drawn = outline(load_pool(small, "small"))
    masked, revealed = opened(name, small, **drawn), opened(name, small, reveal=True, **drawn)
    assert SECRET in everything(revealed) and "pleasant" in everything(masked)


def test_words_looked_for_on_the_pool_page_stay_out_of_the_address(small, opened):
    at = opened("pool", small)
    at.text_input(key="pool.find").set_value("pleasant").run()
    assert len(at.dataframe[-1].value) == 20 and "pleasant" not in str(dict(at.query_params))


def test_the_bad_row_of_the_source_is_listed_with_its_line(small, opened):
    at = opened("pool", small)
    bad = next(f.value for f in at.dataframe if "reason" in f.value)
    assert bad["line"].tolist() == [81] and "broken json" in bad["reason"][0]


def test_importing_a_file_makes_it_the_current_pool(empty, opened, tmp_path):
    source = tmp_path / "mine.csv"
    source.write_text("prompt,response\nhello,there\nhello,there\n,\n")
    at = opened("pool", empty)
    at.text_input(key="import.path").set_value(str(source)).run()
    assert not at.exception and not at.error
    assert {m.label: m.value for m in at.metric}["Duplicates"] == "1"
    at.button(key="import.go").click().run()
    assert not at.exception and [p.name for p in list_pools(empty)] == ["mine"]


def test_a_path_that_is_nowhere_is_a_sentence(empty, opened):
    at = opened("pool", empty)
    at.text_input(key="import.path").set_value("/no/such/file.csv").run()
    assert not at.exception and "no file" in at.error[0].value


def test_a_path_outside_the_allowed_folders_is_refused(empty, opened):
    at = opened("pool", empty)
    at.text_input(key="import.path").set_value("/etc/passwd").run()
    assert not at.exception and "outside the folders" in at.error[0].value


def test_the_rows_inside_the_outline_are_listed_and_can_be_pinned(small, opened):
    pool = load_pool(small, "small")
    at = opened("map", small, **outline(pool))
    assert len(at.dataframe[-1].value) == len(pool)
    at.button(key="map.Pin").click().run()
    assert len(at.session_state["pins:small"]) == len(pool)
    at.button(key="map.Ban").click().run()
    assert at.session_state["pins:small"] == () and len(at.session_state["bans:small"]) == len(pool)
    at.button(key="map.let").click().run()
    assert not at.exception and at.session_state["bans:small"] == ()


def test_a_missing_map_is_offered_and_the_button_queues_the_job(empty, opened, tmp_path, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: None)
    source = tmp_path / "mine.csv"
    source.write_text("prompt,response\nhello,there\ngood,day\n")
    at = opened("pool", empty)
    at.text_input(key="import.path").set_value(str(source)).run()
    at.button(key="import.go").click().run()
    at = opened("map", empty)
    at.button(key="map.position.go").click().run()
    assert not at.exception
    assert [(j.kind, j.spec["method"], j.state) for j in Jobs(empty).list()] == [("signal", "umap", "queued")]


@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_the_selection_page_runs_every_strategy(strategy, small, opened):
    at = opened("selection", small)
    at.selectbox(key="strategy").set_value(strategy).run()
    assert not at.exception and not at.error
    found = at.session_state["choice"]
    assert found.recipe.strategy == strategy
    assert len(found.ids) + found.shortfall == found.recipe.budget.count(found.eligible)


def test_the_budget_in_rows_is_met_exactly_and_the_selection_can_be_saved(small, opened):
    at = opened("selection", small)
    at.segmented_control(key="selection.unit").set_value("rows").run()
    at.slider(key="selection.rows").set_value(7).run()
    at.button(key="selection.save").click().run()
    found = at.session_state["choice"]
    assert len(found.ids) == 7 and pipeline.load_selection(small, found.key).ids == found.ids


def test_pins_of_the_map_are_taken_first(small, opened):
    eligible = pipeline.eligibility(load_pool(small, "small"), "dpo").rows
    pin = load_pool(small, "small").ids[eligible[-1]]
    at = opened("selection", small, **{"pins:small": (pin,)})
    assert at.session_state["choice"].ids[0] == pin


def test_a_missing_signal_is_offered_instead_of_a_traceback(empty, opened, tmp_path):
    source = tmp_path / "mine.csv"
    source.write_text("prompt,response\n" + "".join(f"hello {i},there {i}\n" for i in range(40)))
    at = opened("pool", empty)
    at.text_input(key="import.path").set_value(str(source)).run()
    at.button(key="import.go").click().run()
    at = opened("selection", empty)
    at.selectbox(key="strategy").set_value("saps").run()
    assert not at.exception and not at.error
    assert any(m.value.startswith("Not computed yet") for m in at.markdown)


def test_starting_two_seeds_queues_two_repairs_with_all_they_need(small, opened, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: None)
    at = opened("repair", small)
    at.number_input(key="repair.0.seeds").set_value(2).run()
    at.button(key="repair.start").click().run()
    assert not at.exception and not at.error
    queued = Jobs(small).list("queued")
    assert sorted(j.spec["seed"] for j in queued) == [0, 1]
    assert {j.spec["evaluation"]["pool"] for j in queued} == {"small"}
    for job in queued:
        Jobs(small).cancel(job.id)


def test_the_trade_off_counts_seeds_names_intervals_and_draws_base_at_zero(small, opened):
    at = opened("trade_off", small)
    arms = next(f.value for f in at.dataframe if "arm" in f.value)
    assert arms["arm"][0] == "base model" and arms["seeds"].tolist()[1:] == [2, 1]
    assert arms["toxicity %"].round(1).tolist() == [0.0, -72.5, -87.5]
    assert arms["small %"].round(1).tolist() == [0.0, 4.5, 10.0]
    runs = at.dataframe[-1].value
    assert runs["model"][0] == "base" and {"low", "high", "n", "unit", "scorer", "protocol"} <= set(runs)
    assert any("largest reduction" in m.value for m in at.markdown)


@pytest.mark.skipif(not (SHIPPED / "manifest.json").is_file(), reason="the demo's artefacts are not built")
def test_the_first_screen_shows_the_demo_and_its_repairs_start_at_one_click(tmp_path, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: None)
    ws = Workspace.open(tmp_path / "ws")
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=30)
    app.session_state["workspace"] = ws
    assert not app.run().exception and app.selectbox(key="pool").value == plan.POOL
    app.button(key="overview.demo").click().run()
    assert not app.exception and len(Jobs(ws).list("queued")) == len(plan.specs())
