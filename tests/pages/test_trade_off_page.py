"""The Trade-off page on a small study: every view opens, a run leads back to its rows, and harm to quotas."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import pipeline
from core.jobs import Jobs
from core.pipeline.asked import asked_key
from core.pipeline.kept import remember_asked
from core.pipeline.studies import cells, save_study
from core.pool import load_pool
from core.values import Evaluation, Measure
from core.values.study import StudySpec
from core.workspace import Workspace, read_as, write_json, write_parquet

SECRET = "horrible"
VIEWS = ("Plane", "Budget curves", "Two runs", "Scores", "Claims")


def spec():
    return StudySpec.model_validate(
        {
            "name": "tiny",
            "question": "How few rows are enough?",
            "pool": "small",
            "strategies": [{"strategy": "uniform"}],
            "budgets": [{"rows": None, "percent": 10.0}],
            "methods": [{"method": "sft"}],
            "seeds": (0, 1),
            "model": "tiny",
        }
    )


def with_texts(folder):
    """Generations with words in them, as a real evaluation keeps them."""
    table = pd.read_parquet(folder / "generations.parquet")
    table["text"] = [f" a {SECRET} ending {i}" for i in range(len(table))]
    write_parquet(folder / "generations.parquet", table)


def sister(ws, run_id, name, changes, worse):
    """A run like another one but of another method, with more toxicity."""
    folder = ws.path("runs", name)
    shutil.copytree(ws.path("runs", run_id), folder)
    m = read_as(pipeline.RunManifest, folder / "manifest.json")
    told = m.model_copy(update={"id": name, "spec": m.spec.model_copy(update=changes)})
    write_json(folder / "manifest.json", told)
    table = pd.read_parquet(folder / "generations.parquet")
    write_parquet(folder / "generations.parquet", table.assign(toxicity=table["toxicity"] + worse))


@pytest.fixture
def studied(small, tmp_path):
    """The small workspace with texts, runs of a second method, and a study that its runs answer in part."""
    shutil.copytree(small.root, tmp_path / "studied")
    ws = Workspace.open(tmp_path / "studied", None)
    for kind in ("runs", "evaluations"):
        for folder in ws.folders(kind, "evaluation.json").values():
            with_texts(folder)
    for seed in (0, 1):
        sister(ws, f"run-10-{seed}", f"run-dapt-{seed}", {"method": "dapt"}, 0.1)
    save_study(ws, spec())
    for cell in cells(ws, spec()):
        known = {(False, 0): "run-10-0", (True, 0): "run-100-0", (False, 1): "run-10-1"}
        if (cell.full, cell.seed) in known:
            remember_asked(ws, asked_key(ws, cell.spec), known[cell.full, cell.seed])
    return ws


def words(at):
    parts = [*at.markdown, *at.caption, *at.warning, *at.error, *at.info, *at.success, *at.text]
    return " ".join(str(p.value) for p in parts).replace("\\", "")


def healthy(at):
    assert not at.exception, at.exception
    assert not at.error, [e.value for e in at.error]
    return at


def runs_of_all(studied, opened, **state):
    return healthy(opened("trade_off", studied, **{"trade.study": ""} | state))


def test_a_study_says_how_far_it_is_and_queues_only_what_is_missing(studied, opened, monkeypatch):
    monkeypatch.setattr("core.jobs.table.ensure_supervisor", lambda ws: None)
    at = healthy(opened("trade_off", studied))
    said = words(at)
    assert "3 of 4 finished" in said and "How few rows are enough?" in said
    healthy(at.button(key="trade.queue").click().run())
    queued = Jobs(studied).list("queued")
    assert [(j.spec["seed"], j.spec["selection"]["budget"]["percent"]) for j in queued] == [(1, 100.0)]
    assert "1 queued" in words(at)


def test_a_study_shows_its_own_runs_and_all_runs_show_every_one(studied, opened):
    of_study = next(f.value for f in healthy(opened("trade_off", studied)).dataframe if "arm" in f.value)
    of_all = next(f.value for f in runs_of_all(studied, opened).dataframe if "arm" in f.value)
    assert of_study["seeds"].tolist()[1:] == [2, 1] and not any("dapt" in arm for arm in of_study["arm"])
    assert len(of_all) == 4 and any("dapt" in arm for arm in of_all["arm"])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("study", ["tiny", ""])
def test_every_view_opens_for_a_study_and_for_all_runs(studied, opened, view, study):
    healthy(opened("trade_off", studied, **{"trade.study": study, "trade.view": view}))


def test_the_clicked_run_is_told_in_full_and_its_texts_are_masked(studied, opened):
    at = runs_of_all(studied, opened, **{"trade.run": "run-10-0"})
    assert "eligible rows" in words(at) and "Of " in words(at)
    for part in ("Before and after", "Generations", "Recipe", "Harm left"):
        healthy(at.segmented_control(key="trade.part").set_value(part).run())
        sent = repr(at.main) + " ".join(f.value.to_csv() for f in at.dataframe) + words(at)
        assert SECRET not in sent, part


def test_the_switch_reveals_the_texts_before_and_after(studied, opened):
    at = runs_of_all(studied, opened, reveal=True, **{"trade.run": "run-10-0"})
    healthy(at.segmented_control(key="trade.part").set_value("Before and after").run())
    assert SECRET in words(at)


def test_verdicts_of_a_run_against_the_base_are_better_in_toxicity_and_worse_in_perplexity(studied, opened):
    at = runs_of_all(studied, opened, **{"trade.view": "Two runs", "trade.pair.second": "run-10-0"})
    table = next(f.value for f in at.dataframe if "verdict" in f.value).set_index("number")
    assert "better" in table.loc["Mean toxicity", "verdict"]
    assert "worse" in table.loc["Perplexity, small", "verdict"]


def test_the_reverse_of_two_runs_reverses_the_verdict(studied, opened):
    def verdict(first, second):
        keys = {"trade.view": "Two runs", "trade.pair.first": first, "trade.pair.second": second}
        at = runs_of_all(studied, opened, **keys)
        table = next(f.value for f in at.dataframe if "verdict" in f.value).set_index("number")
        return table.loc["Mean toxicity", "verdict"]

    assert "worse" in verdict("run-10-0", "run-dapt-0") and "better" in verdict("run-dapt-0", "run-10-0")


def test_seeds_are_told_apart_from_the_interval_over_prompts(studied, opened):
    at = runs_of_all(studied, opened, **{"trade.view": "Two runs", "trade.pair.second": "run-10-1"})
    seeds = next(f.value for f in at.dataframe if "lowest" in f.value)
    toxicity = seeds[seeds["number"] == "Mean toxicity"].iloc[0]
    assert toxicity["seeds"] == 2 and (toxicity["lowest"], toxicity["highest"]) == pytest.approx((0.10, 0.12))


def test_one_method_against_another_is_told_by_both_averages(studied, opened):
    at = runs_of_all(studied, opened, **{"trade.view": "Scores"})
    at.selectbox(key="trade.ratio.first").set_value("sft").run()
    table = next(f.value for f in healthy(at).dataframe if "ratio of averages" in f.value)
    line = table[table["number"].str.startswith("R")].iloc[0]
    assert line["first"] == pytest.approx(72.5) and line["second"] == pytest.approx(47.5)
    assert line["ratio of averages"] == pytest.approx(100 * (72.5 / 47.5 - 1))
    assert "52.6 % more effective" in words(at)


def test_the_smallest_budget_follows_epsilon(studied, opened):
    at = healthy(opened("trade_off", studied, **{"trade.view": "Budget curves", "trade.curve": "TR"}))
    table = next(f.value for f in at.dataframe if "full data" in f.value)
    assert table["rows"].isna().all()
    at.slider(key="trade.epsilon").set_value(20.0).run()
    table = next(f.value for f in healthy(at).dataframe if "full data" in f.value)
    assert table["rows"].notna().all()


def app(studied, **state):
    root = Path(__file__).parents[2]
    at = AppTest.from_file(str(root / "ui" / "main.py"), default_timeout=30)
    at.session_state["workspace"] = studied
    start = {"trade.study": "", "trade.run": "run-10-0", "pool": "small"} | state
    for key, value in start.items():
        at.session_state[key] = value
    return healthy(at.run().switch_page("../pages/trade_off.py").run())


def test_a_run_leads_back_to_its_rows(studied):
    at = app(studied)
    healthy(at.button(key="trade.rows").click().run())
    assert at.session_state["choice"].key == pipeline.find_run(studied, "run-10-0").manifest.selection


def test_what_is_left_is_carried_back_as_quotas_of_a_blend(studied):
    at = app(studied, **{"trade.part": "Harm left"})
    healthy(at.button(key="trade.more").click().run())
    assert at.session_state["strategy"] == "blend" and at.session_state["strategy.blend.quota"] == "custom"
    table = at.session_state["strategy.blend.table.category.held"]
    rows = pipeline.find_run(studied, "run-10-0").manifest.budget
    assert sum(table.values()) == rows and set(table) <= set(load_pool(studied, "small").categories()[0])


def break_run(ws, run_id, *, silent):
    """A diverged repair: its perplexity is not finite; a silent one has no usable continuation either."""
    folder = ws.path("runs", run_id)
    units = pd.read_parquet(folder / "text_units.parquet")
    write_parquet(folder / "text_units.parquet", units.assign(nll=float("nan")))
    found = read_as(Evaluation, folder / "evaluation.json")
    lost = Measure(value=None, n=found.metrics["perplexity"].n, note="not finite")
    metrics = found.metrics | {"perplexity": lost}
    if silent:
        table = pd.read_parquet(folder / "generations.parquet")
        write_parquet(folder / "generations.parquet", table.assign(toxicity=float("nan"), text=""))
        metrics |= dict.fromkeys(("toxicity_mean", "emt", "tp", "toxic_fraction"), Measure(value=None, n=0))
    texts = {name: {"perplexity": lost} for name in found.texts}
    write_json(folder / "evaluation.json", found.model_copy(update={"metrics": metrics, "texts": texts}))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("silent", [False, True])
def test_every_view_stands_a_run_that_diverged(studied, opened, view, silent):
    break_run(studied, "run-10-1", silent=silent)
    for study in ("tiny", ""):
        healthy(opened("trade_off", studied, **{"trade.study": study, "trade.view": view}))
    at = opened("trade_off", studied, **{"trade.study": "", "trade.view": view, "trade.run": "run-10-1"})
    healthy(at)


@pytest.mark.parametrize("part", ["Numbers", "Before and after", "Harm left"])
def test_a_diverged_run_can_be_looked_at(studied, opened, part):
    break_run(studied, "run-10-1", silent=True)
    healthy(opened("trade_off", studied, **{"trade.run": "run-10-1", "trade.part": part}))


def test_a_study_without_a_finished_run_says_so(studied, opened):
    other = spec().model_copy(update={"name": "later", "seeds": (7,)})
    save_study(studied, other)
    at = opened("trade_off", studied, **{"trade.study": "later"})
    assert "No measured repair of later yet" in words(at) and not at.exception


def test_runs_that_were_not_measured_are_no_points(studied, opened):
    for run_id in ("run-10-0", "run-10-1", "run-100-0"):
        (studied.path("runs", run_id) / "evaluation.json").unlink()
    at = opened("trade_off", studied)
    assert "No measured repair of tiny yet" in words(at) and not at.exception
    healthy(opened("trade_off", studied, **{"trade.study": ""}))
