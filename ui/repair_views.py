"""The parts of the Repair page beside its form: the jobs as they happen, the finished runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from core import pipeline
from core.jobs import ACTIVE, Jobs
from core.values import Pool
from core.workspace import Workspace
from ui import downloads, job_panel, jobs_view, run_views, tables


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
    """Whole runs of this pool with their main numbers; the clicked one in full."""
    runs = [r for r in pipeline.runs(ws) if r.manifest.pool == pool.name]
    st.subheader("Finished runs")
    if not runs:
        st.caption("None yet.")
        return
    frame = run_views.numbers(runs)
    column = st.column_config
    event: Any = st.dataframe(
        frame,
        hide_index=True,
        height=tables.height(len(frame), 8),
        on_select="rerun",
        selection_mode="single-row",
        key="repair.runs",
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
        st.caption("Click a row to see the run in full.")
    picked = event.selection.rows
    if picked:
        run_views.show(ws, runs[picked[0]])
