"""Lists of jobs: a line in the sidebar, a table and the queue on the Repair page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.jobs import ACTIVE, Job, Jobs
from core.workspace import Workspace
from ui import picked, state, tables
from ui.guards import link, plain
from ui.job_panel import EVERY, duration, place_buttons

NEWEST = 30
WAITING = 4  # of the queue shown with buttons; a click on a line of the table moves any other


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
    """What runs, then what waits in its order, then what ended, newest first; 30 in all."""
    found = Jobs(ws).list()
    running = [j for j in found if j.state in ACTIVE and j.place is None]
    waiting = sorted((j for j in found if j.place is not None), key=lambda j: j.place or 0)
    ended = [j for j in found if j.state not in ACTIVE]
    room = max(NEWEST - len(running) - len(ended), NEWEST // 2)  # a long queue leaves room for what ended
    return [*running, *waiting[:room], *ended][:NEWEST]


def table(jobs: list[Job], key: str) -> Job | None:
    """Jobs with state, place or device, and the time they still need; returns the one clicked.

    Why a job failed is told in full where it is shown after the click: a sentence fits no column.
    """
    clicked = picked.table(
        pd.DataFrame([_row(j) for j in jobs]),
        [j.id for j in jobs],
        key,
        height=tables.height(len(jobs), 6),
        column_config={
            "state": st.column_config.TextColumn("State", width=80),
            "where": st.column_config.TextColumn("Device", width=62, help="Where it runs, or wants to run."),
            "left": st.column_config.TextColumn("Left", width=58, help="Of what it does now."),
            "job": st.column_config.TextColumn("Job", width=310),
        },
        alt="Jobs: what runs, what waits in its order, what ended; with states",
    )
    _queue([j for j in jobs if j.place is not None], key)
    return next((j for j in jobs if j.id == clicked), None)


def _row(job: Job) -> dict[str, str]:
    left = job.progress.remaining if job.progress else None
    return {
        "state": f"queued {job.place}" if job.place else "not responding" if job.silent else job.state,
        "where": job.device or f"({job.wish})",
        "left": duration(left) if left is not None and job.state in ACTIVE else "",
        "job": job.title,
    }


def _queue(waiting: list[Job], key: str) -> None:
    """The next jobs in line, each with buttons that change its place; one alone has no order."""
    if len(waiting) <= 1:
        return
    ws = state.workspace()
    with st.container(border=True, gap=None, key=f"{key}.queue"):
        for job in waiting[:WAITING]:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.caption(plain(f"{job.place}. {job.title}"), width="stretch")
                place_buttons(ws, job, f"{key}.{job.id}")
        if len(waiting) > WAITING:
            st.caption(f"and {len(waiting) - WAITING:,} more; click one in the table to move it")
