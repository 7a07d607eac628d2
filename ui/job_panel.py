"""One job as it happens: state, progress with remaining time, losses, block, log; and the stop button."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.jobs import ENDED, Job, Jobs, read_metrics, tail_log
from core.workspace import Workspace
from ui import figures, theme
from ui.guards import plain
from ui.masking import Mask

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
POINTS = 800  # of a line; the download has all
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
    """One look at the job: state, stop button, progress; losses and log unless `compact`."""
    with st.container(border=True):
        _head(ws, job, key)
        _progress(job)
        if not compact:
            _losses(job, key)
            _log(job, key)


def badge(job: Job) -> str:
    """The job's state as a coloured markdown badge."""
    words = "not responding" if job.silent else job.state
    icon = ICONS.get(job.state, "progress_activity")
    return f":{'orange' if job.silent else COLOURS[job.state]}-badge[:material/{icon}: {words}]"


def _head(ws: Workspace, job: Job, key: str) -> None:
    left, right = st.columns([5, 2], vertical_alignment="center")
    left.markdown(f"**{plain(job.title)}** {badge(job)}")
    if job.state in ("queued", "starting", "running") and right.button(
        "Stop",
        key=f"{key}.stop",
        icon=":material/stop_circle:",
        help="Ends after the current step; the best is kept.",
    ):
        Jobs(ws).cancel(job.id)
        st.rerun(scope="fragment")
    if job.error:
        st.error(plain(job.error))


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


def _losses(job: Job, key: str) -> None:
    """Loss parts over steps, and which block each step chose."""
    rows = _metrics(job)
    steps = [r for r in rows if "loss" in r]
    if not steps:
        return
    frame = pd.DataFrame([{"step": r["step"], "loss": r["loss"], **(r.get("parts") or {})} for r in steps])
    names = [c for c in frame.columns if c != "step" and (c == "loss" or len(frame.columns) > 3)]  # noqa: PLR2004
    thin = frame.iloc[:: max(len(frame) // POINTS, 1)]
    figures.show(
        figures.lines_figure(thin, "step", names, y_title="loss"),
        key=f"{key}.loss",
        alt=f"Loss parts over {len(frame)} steps of {job.title}",
        data=frame,
        name="losses",
    )
    _facts(rows, steps[-1])


def _metrics(job: Job) -> list[dict[str, Any]]:
    """All rows measured so far; what was read before is kept in the session, only the rest is read."""
    known, offset = st.session_state.get(f"metrics.{job.id}", ([], 0))
    new, offset = read_metrics(job.folder, offset)
    rows: list[dict[str, Any]] = [*known, *new]
    st.session_state[f"metrics.{job.id}"] = (rows, offset)
    return rows


def _facts(rows: list[dict[str, Any]], newest: Mapping[str, Any]) -> None:
    words = [f"step {newest['step']}"]
    if newest.get("tokens_per_second"):
        words.append(f"{theme.number(newest['tokens_per_second'])} tokens/s")
    best = [r for r in rows if "best" in r]
    if best:
        words.append(
            f"validation {theme.number(best[-1].get('validation'))}, best {theme.number(best[-1]['best'])}"
        )
    blocks = pd.Series([r["block"] for r in rows if r.get("block") is not None])
    if len(blocks):
        counts = blocks.value_counts().sort_index()
        words.append("selected block " + ", ".join(f"{b}: {c}x" for b, c in counts.items()))
    st.caption(plain(" · ".join(words)))


def _log(job: Job, key: str) -> None:
    """The end of the log; words masked like everything else until the reveal switch is on."""
    with st.expander("Log"):
        text, _ = tail_log(job.folder, LOG_BYTES)
        mask = Mask(
            safe=pd.Series(dtype=bool).to_numpy(), revealed=bool(st.session_state.get("reveal", False))
        )
        st.code(mask.line(text) or "nothing yet", language=None, wrap_lines=True, height=200)
