"""Signals a page needs and does not find: what they are, a button that makes them, the job while it runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core import pipeline
from core.jobs import Jobs
from core.pipeline import SignalRequest
from core.workspace import Workspace
from ui import job_panel
from ui.guards import plain


def offer(ws: Workspace, requests: Sequence[SignalRequest], *, key: str) -> None:
    """One line per missing signal; while a job makes one, its progress instead of the button."""
    open_requests = []
    for request in requests:
        job = job_panel.active(ws, "signal", request.model_dump(mode="json"))
        if job is None:
            open_requests.append(request)
        else:
            job_panel.show(ws, job.id, key=f"{key}.{job.id}")
    if not open_requests:
        return
    with st.container(border=True):
        st.markdown("Not computed yet: " + plain("; ".join(pipeline.words(r) for r in open_requests)))
        _last_failure(ws, open_requests)
        if st.button("Compute now", key=f"{key}.go", type="primary", icon=":material/play_arrow:"):
            for request in open_requests:
                Jobs(ws).submit("signal", request, pipeline.words(request), once=True)
            st.rerun()
        st.caption(
            "It runs beside the app and goes on when this page is closed; what it needs is made first."
        )


def _last_failure(ws: Workspace, requests: Sequence[SignalRequest]) -> None:
    """Why the last try did not end well, if there was one."""
    for request in requests:
        job = job_panel.last(ws, "signal", request.model_dump(mode="json"))
        if job is not None and job.state != "succeeded":
            st.warning(plain(f"The last try ended as {job.state}: {job.error or 'no reason was given'}"))
