"""What the Trade-off page compares: a study by its name or all comparable runs, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core import pipeline
from core.jobs import ACTIVE, Job, Jobs
from core.pipeline import TradeGroup
from core.pipeline.studies import cells, load_study, missing, study_names
from core.pipeline.study_numbers import Cell
from core.values import Measure
from core.values.study import StudySpec
from core.workspace import Workspace
from ui import guards, state
from ui.guards import plain

ALL = ""  # no study: all runs measured alike
FAILED = ("failed", "lost")


@dataclass(frozen=True)
class Progress:
    """Cells of a study by what has become of them."""

    finished: int
    running: int
    queued: int
    failed: int
    missing: int  # neither done nor asked for

    @property
    def total(self) -> int:
        """All cells."""
        return self.finished + self.running + self.queued + self.failed + self.missing


def choose(ws: Workspace, pool: str) -> tuple[StudySpec | None, list[Cell]]:
    """The study that is looked at, with its cells; (None, []) for all comparable runs of the pool."""
    specs = {name: load_study(ws, name) for name in study_names(ws)}
    names = [*(name for name, spec in specs.items() if spec.pool == pool), ALL]
    if len(names) == 1:
        return None, []
    state.seed("trade.study", names[0])
    if st.session_state["trade.study"] not in names:
        st.session_state["trade.study"] = names[0]
    left, right = st.columns([2, 3], gap="medium", vertical_alignment="bottom")
    chosen = left.selectbox(
        "Compare",
        names,
        key="trade.study",
        format_func=lambda name: f"study {name}" if name else "all comparable runs",
        persist_state="session",
        help="A study is a grid of repairs with one question; python -m core study writes one down.",
    )
    spec = specs.get(str(chosen))
    if spec is None:
        return None, []
    found = _cells(str(ws.root), spec.model_dump_json(), _stored(ws), ws, spec)
    with right:
        head(ws, found)
    if spec.question:
        st.markdown(f"**{plain(spec.question)}**")
    return spec, found


def _stored(ws: Workspace) -> tuple[tuple[str, int], ...]:
    """The finished runs and when they were written: what is read of them stays true until this changes."""
    folders = ws.folders("runs").items()
    return tuple((name, (folder / "manifest.json").stat().st_mtime_ns) for name, folder in folders)


@st.cache_resource(max_entries=4, show_spinner="Looking for the study's runs")
def _cells(
    root: str, written: str, stored: tuple[tuple[str, int], ...], _ws: Workspace, _spec: StudySpec
) -> list[Cell]:
    return cells(_ws, _spec)


def groups(ws: Workspace, pool: str, found: Sequence[Cell]) -> list[TradeGroup]:
    """Comparable runs together: of the study whose cells are given, else of the whole pool."""
    every = _groups(str(ws.root), pool, _stored(ws), ws)
    return group_of(every, found) if found else every


@st.cache_resource(max_entries=4, show_spinner="Reading the runs")
def _groups(root: str, pool: str, stored: tuple[tuple[str, int], ...], _ws: Workspace) -> list[TradeGroup]:
    return pipeline.trade_off(_ws, pool)


def grid(spec: StudySpec) -> str:
    """The grid in words."""
    parts = (
        (len(spec.strategies), "strategies", "strategy"),
        (len(spec.budgets), "budgets", "budget"),
        (len(spec.methods), "methods", "method"),
        (len(spec.seeds), "seeds", "seed"),
    )
    said = " x ".join(f"{n} {many if n > 1 else one}" for n, many, one in parts)
    return said + (" and the full-data runs" if spec.full else "")


def progress(found: Sequence[Cell], jobs: Sequence[Job]) -> Progress:
    """What has become of the cells; of several jobs of one cell the newest tells."""
    newest: dict[str, str] = {}
    for job in jobs:  # the newest come first
        if job.kind == "repair":
            newest.setdefault(str(job.spec.get("name", "")), job.state)
    states = ["finished" if c.run is not None else newest.get(c.spec.name, "") for c in found]
    counts = {
        "finished": states.count("finished"),
        "running": sum(s in ACTIVE and s != "queued" for s in states),
        "queued": states.count("queued"),
        "failed": sum(s in FAILED for s in states),
    }
    return Progress(**counts, missing=len(states) - sum(counts.values()))


def head(ws: Workspace, found: Sequence[Cell]) -> None:
    """How far the study is, and the button that queues what is missing."""
    done = progress(found, Jobs(ws).list())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"{done.finished} of {done.total} finished", icon=":material/check_circle:", color="green")
        others: tuple[tuple[int, str, Any, str], ...] = (
            (done.running, "running", "blue", "progress_activity"),
            (done.queued, "queued", "gray", "schedule"),
            (done.failed, "failed", "red", "error"),
            (done.missing, "not started", "gray", "radio_button_unchecked"),
        )
        for count, word, colour, icon in others:
            if count:
                st.badge(f"{count} {word}", icon=f":material/{icon}:", color=colour)
        waiting = done.missing + done.failed
        if waiting and st.button(
            f"Queue {waiting} run{'s' if waiting > 1 else ''}",
            key="trade.queue",
            icon=":material/playlist_add:",
            type="tertiary",
            help="Cheap runs first; what is already done is not run again.",
        ):
            queue(ws, found)
        if done.total > done.finished:
            guards.link("repair", "The queue")


def queue(ws: Workspace, found: Sequence[Cell]) -> None:
    """Submit every cell that has no run and no job under way."""
    for cell in missing(found):
        Jobs(ws).submit("repair", cell.spec, cell.spec.name, once=True)
    st.toast(f"{len(missing(found))} runs queued.")
    st.rerun()


def group_of(every: Sequence[TradeGroup], found: Sequence[Cell]) -> list[TradeGroup]:
    """The groups of comparable runs, cut to the runs of the study; those without one are left out."""
    ids = {c.run.id for c in found if c.run is not None}
    cut = [TradeGroup(g.key, g.label, g.base, tuple(r for r in g.runs if r.id in ids)) for g in every]
    return [g for g in cut if g.runs]


def pick_group(every: Sequence[TradeGroup]) -> TradeGroup:
    """Runs measured alike; numbers of different scorers or protocols are never on one axis."""
    if len(every) == 1:
        return every[0]
    labels = [f"{g.label} ({len(g.runs)} runs)" for g in every]
    chosen = st.selectbox(
        "Measured by",
        labels,
        key="trade.group",
        help="Only runs measured alike can be compared; each group is one chart.",
    )
    return every[labels.index(str(chosen))]


def provenance(group: TradeGroup, spec: StudySpec | None) -> None:
    """What all numbers of the group were measured with, and how many seeds stand behind them."""
    base, p, count = group.base, group.base.protocol, len(group.runs)
    prompts = base.metrics.get("toxicity_mean", Measure(value=None)).n
    asked = f"{grid(spec)} · " if spec is not None else ""
    sampling = "greedy" if p.greedy else f"top-p {p.top_p:g}"
    st.caption(
        plain(
            f"{asked}{count} runs of {base.model} · scorer {base.scorer} · protocol {p.name}: "
            f"k = {p.samples} continuations of {p.new_tokens} tokens for each of n = {prompts:,} held-out "
            f"prompts, {sampling} · texts {', '.join(base.texts) or 'none'} · 95 % bootstrap intervals"
        )
    )
