"""Lists of jobs: a line in the sidebar, a table on the Repair page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.jobs import ACTIVE, Job, Jobs
from core.workspace import Workspace
from ui import tables
from ui.guards import link
from ui.job_panel import EVERY

NEWEST = 30


@st.fragment(run_every=3 * EVERY)
def summary(ws: Workspace) -> None:
    """How many jobs run or wait, with a link to them."""
    open_jobs = Jobs(ws).list(*ACTIVE)
    if not open_jobs:
        return
    running = sum(j.state != "queued" for j in open_jobs)
    waiting = len(open_jobs) - running
    link(
        "repair",
        f"{running} running" + (f", {waiting} waiting" if waiting else ""),
        ":material/progress_activity:",
    )


def newest(ws: Workspace) -> list[Job]:
    """The latest jobs, newest first."""
    return Jobs(ws).list()[:NEWEST]


def table(jobs: list[Job], key: str) -> Job | None:
    """Jobs with their states; returns the one clicked."""
    frame = pd.DataFrame([{"state": _words(j), "job": j.title, "error": j.error} for j in jobs])
    event = st.dataframe(
        frame,
        key=key,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        height=tables.height(len(frame), 6),
        column_config={
            "state": st.column_config.TextColumn("State", width=85),
            "job": st.column_config.TextColumn("Job", width=250),
            "error": st.column_config.TextColumn("Reason", width="medium"),
        },
        alt="Jobs, newest first, with their states",
    )
    rows = event.selection.rows
    return jobs[rows[0]] if rows and rows[0] < len(jobs) else None


def _words(job: Job) -> str:
    return "not responding" if job.silent else job.state
