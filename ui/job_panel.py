"""One job as it happens: state, progress with remaining time, charts, log; and its buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.errors import BadInput
from core.jobs import ENDED, Job, Jobs, read_metrics, tail_log
from core.training.loop import WHAT
from core.workspace import Workspace
from ui import live_view, state
from ui.guards import plain
from ui.live_rows import Row
from ui.masking import mask

EVERY = 2  # seconds between looks
COLOURS = {
    "queued": "gray",
    "starting": "blue",
    "running": "blue",
    "cancelling": "orange",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "gray",
    "lost": "red",
}
ICONS = {
    "succeeded": "check_circle",
    "failed": "error",
    "lost": "help",
    "cancelled": "cancel",
    "queued": "schedule",
}
RESUMABLE = ("failed", "cancelled", "lost")
CLONE = "repair.clone"  # session state: the spec that the repair form is to be filled with
LOG_BYTES = -8_000  # counted from the end


def same(job: Job, kind: str, spec: Mapping[str, Any]) -> bool:
    """Whether the job does just this."""
    return job.kind == kind and dict(job.spec) == dict(spec)


def active(ws: Workspace, kind: str, spec: Mapping[str, Any]) -> Job | None:
    """The job that does just this and has not ended, or None."""
    return next((j for j in Jobs(ws).list() if same(j, kind, spec) and j.state not in ENDED), None)


def last(ws: Workspace, kind: str, spec: Mapping[str, Any]) -> Job | None:
    """The newest job that did just this, or None."""
    return next((j for j in Jobs(ws).list() if same(j, kind, spec)), None)


def show(ws: Workspace, job_id: str, *, key: str) -> None:
    """Draw the job in short; looks again until it has ended, then redraws the page once and rests."""
    timed(partial(_short, ws, job_id, key), ended=Jobs(ws).get(job_id).state in ENDED, key=key)


def _short(ws: Workspace, job_id: str, key: str) -> bool:
    job = Jobs(ws).get(job_id)
    draw(ws, job, key=key, compact=True)
    return job.state in ENDED


def timed(body: Callable[[], bool], *, ended: bool, key: str) -> None:
    """Run `body` every 2 seconds until it returns True (nothing goes on), then the whole page once more."""

    def look() -> None:
        if body() and not ended:
            st.rerun()  # results are there now, and the timer stops

    st.fragment(look, run_every=None if ended else EVERY, key=key)()


def draw(ws: Workspace, job: Job, *, key: str, compact: bool = False) -> None:
    """One look at the job: state, buttons, progress; charts and log unless `compact`."""
    with st.container(border=True):
        _head(ws, job, key, compact)
        _progress(job)
        if not compact:
            live_view.draw(_metrics(job), key=key, spec=job.spec)
            _log(job, key)


def badge(job: Job) -> str:
    """The job's state as a coloured markdown badge."""
    words = "not responding" if job.silent else job.state
    icon = ICONS.get(job.state, "progress_activity")
    return f":{'orange' if job.silent else COLOURS[job.state]}-badge[:material/{icon}: {words}]"


def _head(ws: Workspace, job: Job, key: str, compact: bool) -> None:
    """Title and state, then what can be done about it."""
    where = f" :gray-badge[{plain(job.device)}]" if job.device else ""
    title = f"**{plain(job.title)}** {badge(job)}{where}"
    if compact:
        left, right = st.columns([5, 2], vertical_alignment="center")
        left.markdown(title)
        with right:
            _stop(ws, job, key)
    else:
        st.markdown(title)
        with st.container(horizontal=True, key=f"{key}.actions"):
            if job.state == "queued" and len(Jobs(ws).list("queued")) > 1:
                place_buttons(ws, job, key)
            _stop(ws, job, key)
            if job.kind == "repair":
                _repair_buttons(ws, job, key)
    if job.error:
        st.error(plain(job.error))


def _stop(ws: Workspace, job: Job, key: str) -> None:
    if job.state in ("queued", "starting", "running"):
        words = "Ends after the current step; the best is kept."
        _button("Stop", "stop_circle", f"{key}.stop", lambda: Jobs(ws).cancel(job.id), words)


def _repair_buttons(ws: Workspace, job: Job, key: str) -> None:
    jobs = Jobs(ws)
    if job.state == "running" and job.progress is not None and job.progress.what.startswith(WHAT):
        words = "Look at the fixed panel after this step: toxicity, perplexity, samples."
        _button("Evaluate now", "straighten", f"{key}.evaluate", lambda: jobs.ask(job.id, "evaluate"), words)
        words = "Write the model as it is after this step; the run goes on."
        _button("Save now", "save", f"{key}.save", lambda: jobs.ask(job.id, "save"), words)
    if job.state in RESUMABLE and active(ws, job.kind, job.spec) is None:
        words = "Queue it again: it goes on from its last checkpoint."
        _button("Resume", "replay", f"{key}.resume", lambda: jobs.resubmit(job.id), words)
    words = "Fill the form with this run's settings, to change some of them."
    if st.button("Clone with changes", key=f"{key}.clone", icon=":material/content_copy:", help=words):
        st.session_state[CLONE] = dict(job.spec)
        st.rerun()


def place_buttons(ws: Workspace, job: Job, key: str) -> None:
    """Three small buttons that give a waiting job another place."""
    for where, icon in (
        ("first", "vertical_align_top"),
        ("up", "arrow_upward"),
        ("down", "arrow_downward"),
    ):
        st.button(
            "",
            key=f"{key}.{where}",
            icon=f":material/{icon}:",
            type="tertiary",
            help=f"Move {where}" if where != "first" else "Make it the next one",
            on_click=partial(_told, partial(Jobs(ws).reorder, job.id, where)),
        )


def _button(label: str, icon: str, key: str, action: Callable[[], Any], words: str) -> None:
    st.button(label, key=key, icon=f":material/{icon}:", help=words, on_click=partial(_told, action))


def _told(action: Callable[[], Any]) -> None:
    """Do it; what came too late (the job has ended meanwhile) is said, not raised."""
    try:
        action()
    except BadInput as error:
        st.toast(plain(str(error)), icon=":material/info:")


def _progress(job: Job) -> None:
    """How far, and for how long still."""
    if job.state in ENDED:
        return
    found = job.progress
    if found is None or not found.total:
        st.progress(0.0, text="waiting for its turn" if job.state == "queued" else "getting ready")
        return
    rest = "" if found.remaining is None else f", about {duration(found.remaining)} left"
    st.progress(found.share, text=plain(f"{found.what}: {found.done:,} of {found.total:,}{rest}"))


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:  # noqa: PLR2004
        return f"{max(round(seconds), 1)} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004


def _metrics(job: Job) -> list[Row]:
    """All rows measured so far; what was read before is kept in the session, only the rest is read."""
    known, offset = st.session_state.get(f"metrics.{job.id}", ([], 0))
    new, offset = read_metrics(job.folder, offset)
    rows: list[Row] = [*known, *new]
    st.session_state[f"metrics.{job.id}"] = (rows, offset)
    return rows


def _log(job: Job, key: str) -> None:
    """The end of the log; words masked like everything else until the reveal switch is on."""
    with st.expander("Log"):
        text, _ = tail_log(job.folder, LOG_BYTES)
        st.code(
            (text if state.revealed() else mask(text)) or "nothing yet",
            language=None,
            wrap_lines=True,
            height=200,
        )
