"""One finished run: what it learned from, what it took beside what was expected, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pandas as pd
import streamlit as st

from core import pipeline
from core.errors import BadInput
from core.evaluation import never_refuses
from core.jobs import ENDED, Jobs
from core.pipeline import Run
from core.pipeline.deletion import delete_model, delete_run, size
from core.pipeline.export_model import read_base
from core.values import Evaluation, Measure
from core.workspace import Workspace
from ui import job_panel, live_view
from ui.guards import link, plain
from ui.repair_form import CLONE

REQUESTS = {
    "harmful_compliance": ("Harmful compliance", "Unsafe requests answered; lower is better."),
    "refusal_unsafe": ("Refusal of unsafe", "Unsafe requests refused; higher is better."),
    "refusal_safe": ("Refusal of safe", "Safe requests refused, over-refusal; lower is better."),
}


def show(ws: Workspace, run: Run) -> None:
    """The run in full, with its buttons."""
    with st.container(border=True):
        st.markdown(f"**{plain(run.label)}**")
        _facts(run)
        _took(run)
        if run.evaluation is not None:
            requests(ws, run)
        live_view.show_run(run.folder, key=f"run.{run.id}")
        _buttons(ws, run)


def _facts(run: Run) -> None:
    m = run.manifest
    words = [
        f"{m.budget:,} of {m.eligible:,} eligible rows by {m.strategy}",
        f"{m.result['steps']} steps, best at {m.result['best_step']}",
        f"model {m.model}",
        f"device {m.device}",
        f"run {m.id}",
    ]
    if m.resumed:
        words.append(f"taken up again at step {', '.join(str(step) for step in m.resumed)}")
    st.caption(plain(" · ".join(words)))
    if m.result.get("stopped_early"):
        st.caption(plain(str(m.result["stopped_early"])))
    for note in m.result.get("notes", ()):
        st.caption(plain(str(note)))
    if m.dose:
        st.caption(
            plain(
                "Mix: " + ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in m.dose.items())
            )
        )


def _took(run: Run) -> None:
    """Expected beside measured, so that the next estimate is read with the right doubt."""
    m = run.manifest
    left, middle, right = st.columns(3)
    expected, seconds = m.estimate or {}, m.result["seconds"]
    peak = m.result["peak_bytes"]
    if m.result["steps"]:
        _plain(left, "Training", pipeline.duration(seconds), _beside(seconds, expected.get("seconds")))
    else:
        _plain(left, "Training", "none", "it only decodes differently")
    if peak:
        _plain(middle, "Peak memory", f"{peak / 1e9:.2f} GB", _beside(peak, expected.get("memory_bytes")))
    _plain(right, "On disk", f"{size(run.folder) / 1e6:,.1f} MB", f"model {_kept(run)}")


def _plain(place: Any, label: str, value: str, below: str | None, words: str | None = None) -> None:
    """A number with a remark below it: neither good nor bad, neither up nor down."""
    place.metric(label, value, below, "off", help=words, delta_arrow="off")


def _beside(measured: float, expected: float | None) -> str | None:
    return None if not expected else f"{measured / expected:.2f} x expected"


def _kept(run: Run) -> str:
    held = size(run.folder / "model")
    return f"{held / 1e6:,.1f} MB" if held else "not kept"


def requests(ws: Workspace, run: Run) -> None:
    """Harm and over-refusal, never apart; hidden for a model that never refuses."""
    found, base = run.evaluation, read_base(ws, run)
    if found is None:
        return
    for name, measures in found.requests.items():
        if never_refuses(measures):
            st.caption(plain(f"{name}: this model refuses nothing, so refusal says nothing about it."))
            continue
        for column, (metric, (title, words)) in zip(st.columns(3), REQUESTS.items(), strict=True):
            here = measures.get(metric, Measure(value=None))
            _plain(
                column,
                title,
                "n/a" if here.value is None else f"{100 * here.value:.1f} %",
                _change(here, base, name, metric),
                plain(f"{words} {name}, n = {here.n:,}; {pipeline.number(here)}. {here.note}"),
            )


def _change(here: Measure, base: Evaluation | None, name: str, metric: str) -> str | None:
    before = base.requests.get(name, {}).get(metric) if base else None
    if before is None or before.value is None or here.value is None:
        return None
    return f"{100 * (here.value - before.value):+.1f} points against the base"


def _buttons(ws: Workspace, run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Clone with changes", key=f"run.{run.id}.clone", icon=":material/content_copy:"):
            st.session_state[CLONE] = run.manifest.spec.model_dump(mode="json")
            st.rerun()
        kept = (run.folder / "model").is_dir()
        if st.button(
            "Export model",
            key=f"run.{run.id}.export",
            icon=":material/ios_share:",
            disabled=not kept,
            help="Safetensors, tokenizer and a card, as a folder of the workspace."
            if kept
            else "It kept no model; run it again with 'changed weights only'.",
        ):
            Jobs(ws).submit("export", {"run": run.id}, f"export {run.label}", once=True)
        _removal(ws, run, kept)
        link("trade_off", "See what it bought and cost")
    _exported(ws, run)


def _exported(ws: Workspace, run: Run) -> None:
    """The newest export of this run as it goes on, and where it lies."""
    job = job_panel.last(ws, "export", {"run": run.id})
    if job is None:
        return
    if job.state in ENDED and job.state == "succeeded":
        done = Jobs(ws).get(job.id).result  # a list of jobs holds no results
        st.caption(plain(f"Exported to {done.get('folder', '')}"))
    else:
        job_panel.show(ws, job.id, key=f"run.{run.id}.exporting")


def _removal(ws: Workspace, run: Run, kept: bool) -> None:
    """Delete at a click; where something depends on it, only after that was read."""
    with st.popover("Delete", icon=":material/delete:"):
        if kept:
            _delete(ws, run, delete_model, "drop", f"Only the model ({_kept(run)})")
        _delete(ws, run, delete_run, "delete", f"The whole run ({size(run.folder) / 1e6:,.1f} MB)")


def _delete(ws: Workspace, run: Run, delete: Callable[..., int], name: str, label: str) -> None:
    """The button; what depends is looked up at the click: it reads every study."""
    held, look = f"run.{run.id}.{name}.refused", {"width": "stretch"}
    refused = st.session_state.get(held)
    if refused:
        st.warning(plain(refused))
        label = f"{label}, anyway"
    if st.button(label, key=f"run.{run.id}.{name}", **cast(Any, look)):
        try:
            delete(ws, run.id, anyway=bool(refused))
        except BadInput as error:
            st.session_state[held] = str(error)
        else:
            st.session_state.pop(held, None)
        st.rerun()


def numbers(runs: list[Run]) -> pd.DataFrame:
    """One row per run with its main numbers; the run's id last."""
    return pd.DataFrame([_row(run) for run in runs])


def _row(run: Run) -> dict[str, Any]:
    m, e = run.manifest, run.evaluation
    row: dict[str, Any] = {"run": run.label, "rows": m.budget}
    for title, name in (("mean toxicity", "toxicity_mean"), ("perplexity", "perplexity")):
        row[title] = e.metrics[name].value if e and name in e.metrics else None
    row |= {"scope": m.spec.params.get("scope", ""), "benign": m.spec.mix.rows if m.spec.mix else None}
    row |= {"steps": m.result.get("steps"), "best step": m.result.get("best_step"), "seconds": m.seconds}
    row |= {"method": m.spec.method, "seed": m.spec.seed}
    return row | {"scorer": e.scorer if e else "", "protocol": e.protocol.name if e else "", "id": run.id}
