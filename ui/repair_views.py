"""The parts of the Repair page beside its form: the jobs as they happen, the finished runs."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core import pipeline
from core.jobs import ACTIVE, Jobs
from core.values import Pool
from core.workspace import Workspace
from ui import downloads, job_panel, jobs_view, picked, run_views, tables

SEEN = "repair.ended"  # the ended jobs that the page was last drawn with


def jobs(ws: Workspace) -> None:
    """The newest jobs and the one that is watched, looked at again while any goes on."""
    going = bool(Jobs(ws).list(*ACTIVE))
    job_panel.timed(partial(_look, ws), ended=not going, key="repair.look")


def _look(ws: Workspace) -> bool:
    """Draw the list and one job: the clicked, else a running, else the newest one; True when all ended."""
    found = jobs_view.newest(ws)
    ended = [job.id for job in found if job.state not in ACTIVE]
    if st.session_state.setdefault(SEEN, ended) != ended:
        st.session_state[SEEN] = ended
        st.rerun()  # one has ended while others go on: its results are below this list
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
    shown = [
        name for name in frame.columns if name not in ("rows", "method", "seed", "id")
    ]  # in the run's name, or in full after the click
    column = st.column_config
    clicked = picked.table(
        frame,
        [run.id for run in runs],
        "repair.runs",
        height=tables.height(len(frame), 8),
        column_order=shown,
        placeholder="",
        column_config={
            "run": column.TextColumn("Run", width=240),
            "scope": column.TextColumn("Scope", width=70, help="Which weights may move."),
            "benign": column.NumberColumn("Benign", width=65, help="Benign rows mixed in."),
            "steps": column.NumberColumn("Steps", width=60),
            "best step": column.NumberColumn("Best step", width=80),
            "seconds": column.NumberColumn("Seconds", format="%.0f", width=75),
            "mean toxicity": column.NumberColumn("Mean toxicity", format="%.4f", width=110),
            "perplexity": column.NumberColumn("Perplexity", format="%.3f", width=90),
            "scorer": column.TextColumn("Scorer", width=80),
            "protocol": column.TextColumn("Protocol", width=80),
        },
        alt="Finished runs with their main numbers",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.table(frame, f"{pool.name}-runs", key="repair.runs.csv")
        st.caption("Click a row to see the run in full.")
    for run in runs:
        if run.id == clicked:
            run_views.show(ws, run)
