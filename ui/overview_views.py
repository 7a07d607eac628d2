"""The parts of the Overview page: the five steps with their state, and the two pictures that matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from core import pipeline
from core.demo import plan
from core.jobs import ACTIVE, Jobs
from core.values import Pool
from core.workspace import Workspace
from ui import colours, figures, state, study_data, trade_off_plane
from ui.guards import link, plain
from ui.trade_off_chart import plane_figure
from ui.trade_off_marks import numbers
from ui.trade_off_words import sentence

SIGNALS = ("vectors:map", "cluster:hdbscan", "cluster:kmeans", "score:toxicity")


def flow(ws: Workspace, pool: Pool | None) -> None:
    """Pool, map, selection, repair, result: what is there and where to go on."""
    steps: tuple[tuple[str, str, str, Callable[[Workspace, Pool | None], tuple[str, str]]], ...] = (
        ("Pool", "pool", "Look at rows" if pool else "Import one", _pool),
        ("Map", "map", "Open the map", _map),
        ("Selection", "selection", "Choose rows", _selection),
        ("Repair", "repair", "Start runs", _repair),
        ("Trade-off", "trade_off", "See result", _result),
    )
    for column, (title, page, label, state_of) in zip(
        st.columns(len(steps), gap="small"), steps, strict=True
    ):
        with column.container(border=True, height="stretch", gap="xsmall"):
            st.caption(title)
            big, small = state_of(ws, pool)
            st.markdown(f"#### {plain(big)}")
            st.caption(plain(small))
            link(page, label)


def _pool(ws: Workspace, pool: Pool | None) -> tuple[str, str]:
    if pool is None:
        return "none yet", "csv, jsonl, parquet"
    counts = state.summary(ws, pool.name).counts
    return (
        f"{len(pool):,} rows",
        f"{pool.name}: {counts.get('categories', 0)} categories, {counts.get('pairs', 0):,} pairs",
    )


def _map(ws: Workspace, pool: Pool | None) -> tuple[str, str]:
    if pool is None:
        return "–", "needs a pool"  # noqa: RUF001 - a dash, typeset
    there = sum(state.find(ws, need, pool) is not None for need in SIGNALS)
    big = "ready" if there == len(SIGNALS) else f"{there} of {len(SIGNALS)} ready"
    return big, "map, two clusterings, toxicity"


def _selection(ws: Workspace, pool: Pool | None) -> tuple[str, str]:
    if pool is None:
        return "–", "needs a pool"  # noqa: RUF001
    saved = [s for s in pipeline.selections(ws) if s.pool_fingerprint == pool.fingerprint]
    current = state.choice(pool)
    if current is not None:
        return f"{len(current.ids):,} rows", f"{current.recipe.strategy}, of {current.eligible:,} eligible"
    return f"{len(saved)} saved", "none chosen in this session"


def _repair(ws: Workspace, pool: Pool | None) -> tuple[str, str]:
    whole = [r for r in pipeline.runs(ws) if pool is None or r.manifest.pool == pool.name]
    going = len(Jobs(ws).list(*ACTIVE))
    return _count(len(whole), "run"), f"{_count(going, 'job')} running or waiting"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _result(ws: Workspace, pool: Pool | None) -> tuple[str, str]:
    groups = pipeline.trade_off(ws, pool.name) if pool else []
    runs = sum(len(g.runs) for g in groups)
    return f"{runs} measured", _count(len(groups), "comparable group")


def pictures(ws: Workspace, pool: Pool) -> None:
    """The pool as a map, and what the repairs bought against what they cost."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("The pool")
        _thumbnail(ws, pool)
    with right:
        st.subheader("The result")
        _plane(ws, pool)


def _thumbnail(ws: Workspace, pool: Pool) -> None:
    position = state.find(ws, "vectors:map", pool)
    colouring = colours.by_category(*pool.categories())
    rows = np.arange(len(pool))
    if position is None:
        st.caption("Rows by category; the map is not computed yet.")
        figure, frame = figures.legend_bars(colouring, rows)
        figures.show(figure, key="overview.bars", alt="Rows by category", data=frame, name="categories")
        return
    chosen = state.choice(pool)
    ringed = state.rows_of(pool, chosen.ids) if chosen else rows[:0]
    figure = figures.map_figure(
        np.asarray(position.array()), colouring, rows, ringed, height=400, legend=True
    )
    figures.show(figure, key="overview.map", alt=f"Map of {pool.name}, coloured by category")


def _offer_demo(ws: Workspace) -> None:
    """The demo's own repairs at one click; they are computed here and now, nothing is canned."""
    specs = plan.specs()
    if st.button(f"Run the demo's {len(specs)} repairs", icon=":material/play_arrow:", key="overview.demo"):
        for spec in specs:
            Jobs(ws).submit("repair", spec, spec.name, once=True)
        st.switch_page("../pages/repair.py")
    st.caption(
        "Two strategies, two methods, three seeds each: minutes on a laptop, and they go on by themselves."
    )


def _plane(ws: Workspace, pool: Pool) -> None:
    groups = pipeline.trade_off(ws, pool.name)
    if not groups:
        st.info("No measured repair yet. Choose rows, start a repair, and its point appears here.")
        link("selection", "Choose rows")
        if pool.name == plan.POOL:
            _offer_demo(ws)
        return
    group = max(groups, key=lambda g: len(g.runs))
    of = study_data.compared(ws, None, group, [])
    utility = next(iter(study_data.utilities(of.known)), None)
    if utility is None:
        st.caption("No perplexity, accuracy or refusal was measured, so there is no cost to draw.")
        return
    found = trade_off_plane.plane(of, "TR", utility)
    said = sentence(found, group.base)
    figure = plane_figure(found.marks, found.stairs, of.looks, found.axes, reference=found.reference)
    data = numbers(found.marks, found.axes)
    figures.show(figure, key="overview.plane", alt=said, data=data, name="trade-off")
    st.caption(plain(said))
