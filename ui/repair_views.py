"""The parts of the Repair page: what to run, the jobs as they happen, the finished runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import pipeline
from core.demo import plan
from core.evaluation import PROTOCOLS
from core.jobs import ACTIVE, Jobs
from core.pipeline import Run
from core.repair import METHODS
from core.values import Budget, EvaluationSpec, Pool, Recipe, RepairSpec, Selection
from core.workspace import Workspace
from ui import downloads, job_panel, jobs_view, state, tables
from ui.guards import link, plain
from ui.params_form import params_form

MOST_SEEDS = 10


def form(ws: Workspace, pool: Pool) -> None:
    """Everything a run needs; the start button submits one job per seed."""
    source = _source(ws, pool)
    method = _method(source)
    model = st.selectbox(
        "Model",
        _with_default(pipeline.models(ws), pipeline.default_model(ws, pool.name)),
        key="repair.model",
        persist_state="session",
        accept_new_options=True,
        help="A name, a folder with config.json and safetensors, or a Hugging Face id.",
    )
    demo = pool.name == plan.POOL
    with st.expander("Training settings", icon=":material/tune:"):
        start = plan.METHODS.get(method, {}) if demo else {}
        st.caption(
            "Settings of the demo."
            if start
            else "Defaults are the method's own; a small model needs larger rates."
        )
        params = params_form(METHODS[method].params, f"repair.{method}.{'demo' if start else 'paper'}", start)
    with st.expander("Measuring", icon=":material/straighten:"):
        evaluation = _evaluation(ws, pool, str(model), demo)
    left, right = st.columns(2)
    first = left.number_input("First seed", 0, value=0, key="repair.seed", persist_state="session")
    count = right.number_input(
        "Seeds", 1, MOST_SEEDS, 1, key="repair.seeds", help="One run per seed.", persist_state="session"
    )
    ready = _usable(pool, source, method)
    look: Any = {"type": "primary", "icon": ":material/play_arrow:", "width": "stretch"}
    if st.button("Start repair", key="repair.start", disabled=not ready, **look):
        spec = RepairSpec(
            selection=_kept(ws, source),
            method=method,
            params=params.model_dump(mode="json"),
            model=str(model),
            evaluation=evaluation,
        )
        start_runs(ws, spec, [int(first) + i for i in range(int(count))], _title(source))


def _with_default(names: list[str], default: str) -> list[str]:
    return [default, *(n for n in names if n != default)]


def _source(ws: Workspace, pool: Pool) -> Selection | Recipe:
    """What to learn from: this session's choice, a saved selection, or all eligible rows."""
    options: list[Selection | Recipe] = []
    current = state.choice(pool)
    saved = [s for s in pipeline.selections(ws) if s.pool_fingerprint == pool.fingerprint]
    if current is not None and current.key not in [s.key for s in saved]:
        options.append(current)
    options += saved
    options.append(Recipe(pool=pool.name, strategy="uniform", budget=Budget(rows=None, percent=100.0)))
    index = next(
        (i for i, o in enumerate(options) if current is not None and getattr(o, "key", "") == current.key), 0
    )
    place = st.selectbox(
        "Rows to learn from",
        range(len(options)),
        index,
        format_func=lambda i: _short(options[i]),
        key="repair.rows",
    )
    if len(options) == 1:
        link("selection", "Choose rows on the Selection page")
    return options[int(place)]


def _short(source: Selection | Recipe) -> str:
    if isinstance(source, Recipe):
        return "all eligible rows (full-data run)"
    r = source.recipe
    return f"{r.strategy}, {len(source.ids):,} rows for {r.method}, seed {r.seed} ({source.key[:6]})"


def _title(source: Selection | Recipe) -> str:
    return "all rows" if isinstance(source, Recipe) else f"{source.recipe.strategy}, {len(source.ids):,} rows"


def _method(source: Selection | Recipe) -> str:
    meant = source.method if isinstance(source, Recipe) else source.recipe.method
    names = list(METHODS)
    method = st.selectbox(
        "Method",
        names,
        names.index(meant) if meant in names else 0,
        format_func=lambda m: METHODS[m].title,
        key=f"repair.method.{getattr(source, 'key', 'all')}",
        persist_state="session",
    )
    needs = " and ".join(n for n in METHODS[method].needs if n != "prompt")
    st.caption(plain(f"Source: {METHODS[method].source} · needs {needs or 'any text'}"))
    return str(method)


def _usable(pool: Pool, source: Selection | Recipe, method: str) -> bool:
    """Whether the method can learn from every chosen row; says what to do where it cannot."""
    eligible = pipeline.eligibility(pool, method).rows
    columns = " and ".join(n for n in METHODS[method].needs if n != "prompt") or "some text"
    if not len(eligible):
        st.warning(plain(f"{METHODS[method].title} needs {columns}; no train row of {pool.name} has that."))
        return False
    rows = eligible if isinstance(source, Recipe) else state.rows_of(pool, source.ids)
    lost = len(rows) - int(np.isin(rows, eligible).sum())
    if lost:
        st.warning(plain(f"{lost:,} of these {len(rows):,} rows lack {columns}; select for this method."))
        link("selection", "Select again")
    return not lost and len(rows) > 0


def _kept(ws: Workspace, source: Selection | Recipe) -> str | Recipe:
    """A selection is stored before it is used, so that the run can be traced to its rows."""
    if isinstance(source, Selection):
        return pipeline.save_selection(ws, source)
    return source


def _evaluation(ws: Workspace, pool: Pool, model: str, demo: bool) -> EvaluationSpec | None:
    """What to measure before and after; the demo has its own held-out prompts and texts."""
    if demo and st.toggle("As the demo measures", value=True, key="repair.demo.evaluation"):
        e = plan.EVALUATION
        st.caption(
            plain(f"{e.protocol.samples} continuations per prompt of {e.pool}; texts {', '.join(e.texts)}")
        )
        return e.model_copy(update={"model": model})
    names = state.pool_names(ws)
    protocol = st.selectbox("Protocol", list(PROTOCOLS), key="repair.protocol")
    prompts = st.selectbox("Held-out prompts of", names, names.index(pool.name), key="repair.prompts")
    texts = st.multiselect(
        "Held-out texts of", names, [pool.name], key="repair.texts", help="The first is the main one."
    )
    default = pipeline.default_scorer(ws, pool.name)
    scorer = st.selectbox("Scorer", _with_default(pipeline.scorers(ws), default), key="repair.scorer")
    if not st.toggle("Measure after the repair", value=True, key="repair.measure"):
        return None
    return EvaluationSpec(
        model=model,
        pool=str(prompts),
        protocol=PROTOCOLS[str(protocol)],
        scorer=str(scorer),
        texts=tuple(texts),
    )


def start_runs(ws: Workspace, spec: RepairSpec, seeds: list[int], rows: str) -> None:
    """Submit one job per seed; a full-data recipe chooses for the run's own method."""
    if isinstance(spec.selection, Recipe):
        spec = spec.model_copy(
            update={"selection": spec.selection.model_copy(update={"method": spec.method})}
        )
    for seed in seeds:
        one = spec.model_copy(update={"seed": seed})
        Jobs(ws).submit("repair", one, f"{spec.method}: {rows}, seed {seed}", once=True)
    st.toast(f"{len(seeds)} run{'s' if len(seeds) > 1 else ''} queued.")
    st.rerun()


def jobs(ws: Workspace) -> None:
    """The newest jobs and the one that is watched, looked at again while any goes on."""
    going = bool(Jobs(ws).list(*ACTIVE))
    job_panel.timed(partial(_look, ws), ended=not going, key="repair.look")


def _look(ws: Workspace) -> bool:
    """Draw the list and one job: the clicked, else a running, else the newest one; True when all ended."""
    found = jobs_view.newest(ws)
    if not found:
        st.info("No job yet. Choose rows and a method, then start: progress, losses and the log appear here.")
        return True
    clicked = jobs_view.table(found, key="repair.jobs")
    going = sorted((j for j in found if j.state in ACTIVE), key=lambda j: j.state == "queued")
    shown = clicked or next(iter(going), found[0])
    job_panel.draw(ws, shown, key=f"repair.panel.{shown.id}")
    return not going


def finished(ws: Workspace, pool: Pool) -> None:
    """Whole runs of this pool with their main numbers."""
    runs = [r for r in pipeline.runs(ws) if r.manifest.pool == pool.name]
    st.subheader("Finished runs")
    if not runs:
        st.caption("None yet.")
        return
    frame = pd.DataFrame([_row(r) for r in runs])
    column = st.column_config
    st.dataframe(
        frame,
        hide_index=True,
        height=tables.height(len(frame), 8),
        column_config={
            "run": column.TextColumn("Run", width=250),
            "rows": column.NumberColumn("Rows", format="localized", width=65),
            "seed": column.NumberColumn("Seed", width=55),
            "steps": column.NumberColumn("Steps", width=60),
            "best step": column.NumberColumn("Best step", width=80),
            "seconds": column.NumberColumn("Seconds", format="%.0f", width=75),
            "mean toxicity": column.NumberColumn("Mean toxicity", format="%.4f", width=110),
            "perplexity": column.NumberColumn("Perplexity", format="%.3f", width=90),
        },
        alt="Finished runs with their main numbers",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.table(frame, f"{pool.name}-runs", key="repair.runs.csv")
        link("trade_off", "See what they bought and cost")


def _row(run: Run) -> dict[str, Any]:
    m, e = run.manifest, run.evaluation
    row: dict[str, Any] = {"run": run.label, "rows": m.budget}
    for title, name in (("mean toxicity", "toxicity_mean"), ("perplexity", "perplexity")):
        row[title] = e.metrics[name].value if e and name in e.metrics else None
    row |= {"steps": m.result.get("steps"), "best step": m.result.get("best_step"), "seconds": m.seconds}
    row |= {"method": m.spec.method, "seed": m.spec.seed}
    return row | {"scorer": e.scorer if e else "", "protocol": e.protocol.name if e else "", "id": run.id}
