"""The first view of the Trade-off page: the plane, the run that was clicked, tables of all that is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import Run
from core.pipeline.study_numbers import TOXICITY
from core.values import Evaluation, Measure
from ui import downloads, state, study_data, study_names, tables, theme, trade_off_requests, trade_off_run
from ui.guards import plain
from ui.study_data import Compared, Plane
from ui.trade_off_chart import plane_figure
from ui.trade_off_marks import numbers
from ui.trade_off_words import sentence

CHART, RUN = "trade.chart", "trade.run"
NONE = ""
SHORT = 6  # text sets with columns of their own in the table of arms


@st.fragment
def view(of: Compared) -> None:
    """The controls, the sentence, the plane; under it the clicked run, then requests and tables."""
    utility = _controls(of)
    if utility is None:
        st.info("No perplexity, accuracy or refusal was measured, so there is no cost to draw.")
        return
    found = plane(of, *utility)
    said = sentence(found, of.group.base)
    st.markdown(plain(said))
    if found.marks:
        _chart(of, found, said)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _chooser(of)
        downloads.table(
            numbers(found.marks, found.axes), f"{of.name}-plane", key="trade.plane.csv", label="Numbers (csv)"
        )
    run = study_data.run_of(of, st.session_state.get(RUN, NONE))
    if run is not None:
        trade_off_run.panel(of.ws, run, of.group.runs)
    if of.group.base.requests:
        st.subheader("Harm and over-refusal")
        trade_off_requests.show(of)
    st.subheader("Means over seeds")
    arm_table(of)
    st.subheader("Every run")
    run_table(of)


def _chart(of: Compared, found: Plane, said: str) -> None:
    """The plane itself; a click on a point chooses its run."""
    figure = plane_figure(
        found.marks,
        found.stairs,
        of.looks,
        found.axes,
        chosen=st.session_state.get(RUN, NONE),
        reference=found.reference,
    )
    st.plotly_chart(
        figure,
        key=CHART,
        on_select=_clicked,
        selection_mode="points",
        config={**theme.CONFIG, "displayModeBar": "hover"},
        alt=said,
    )
    _badges(found, of.group.runs)


def plane(of: Compared, gain: str, utility: str) -> Plane:
    """What the plane shows, drawn once for the same runs."""
    return _plane(str(of.ws.root), of.name, of.group.key, of.labels, gain, utility, of)


@st.cache_data(max_entries=48, show_spinner="Resampling prompts and documents")
def _plane(
    root: str,
    name: str,
    key: str,
    labels: tuple[tuple[str, str, str], ...],
    gain: str,
    utility: str,
    _of: Compared,
) -> Plane:
    return study_data.plane(_of, gain, utility)


def _controls(of: Compared) -> tuple[str, str] | None:
    """(detoxification, utility) as chosen; None where no utility was measured."""
    utilities = study_data.utilities(of.known)
    if not utilities:
        return None
    gains = study_data.gains(of.known)
    families = list(dict.fromkeys(study_names.split(u)[0] for u in utilities))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        gain = _segments("Detoxification (up)", gains, "trade.gain")
        family = _segments(
            "Utility (right)", {f: study_names.FAMILIES.get(f, f) for f in families}, "trade.family"
        )
        sets = {u: study_names.split(u)[1] for u in utilities if study_names.split(u)[0] == family}
        utility = next(iter(sets))
        if len(sets) > 1:
            utility = _segments("Of", sets, f"trade.text.{family}")
    return gain, utility


def _segments(label: str, options: dict[str, str], key: str) -> str:
    """One of the options, the first at the start; what is no longer there is forgotten."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = next(iter(options))
    return str(
        st.segmented_control(
            label,
            list(options),
            required=True,
            key=key,
            format_func=options.__getitem__,
            persist_state="session",
        )
    )


def _clicked() -> None:
    """The run of the point that was clicked; an empty click changes nothing."""
    points = st.session_state[CHART].selection.points
    run = next((p["customdata"] for p in points if p.get("customdata")), None)
    if run is not None:
        st.session_state[RUN] = str(run[0] if isinstance(run, list) else run)


def _chooser(of: Compared) -> None:
    """The run by name: the same as a click on its point, and the way without a mouse."""
    names = {NONE: "none"} | {c.run.id: c.label for c in of.cells if c.run is not None}
    if st.session_state.get(RUN) not in names:
        st.session_state[RUN] = NONE
    st.selectbox(
        "Run (or click a point)",
        list(names),
        key=RUN,
        format_func=names.__getitem__,
        width=420,
        persist_state="session",
    )


def _badges(found: Plane, runs: Sequence[Run]) -> None:
    untouched = sum(run.untouched for run in runs)
    single = sum(len(m.dots) == 1 for m in found.marks)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if single:
            where = "" if single == len(found.marks) else f" in {single} of {len(found.marks)} arms"
            st.badge(f"n = 1 seed{where}", icon=":material/warning:", color="orange")
        if untouched:
            st.badge(
                f"{untouched} of {len(runs)} runs kept the untouched model",
                icon=":material/block:",
                color="orange",
                help="No validation was better than the first one, so they end where they began: fewer "
                "steps, a lower rate or more frequent validations may help.",
            )
        units = f"{found.axes.gain_unit} x {found.axes.loss_unit}"
        st.badge(
            f"hypervolume {theme.number(found.hypervolume)} ({units})",
            color="gray",
            help="Area between the staircase of the means and the corner of no gain and the largest cost "
            f"of an arm ({found.reference[0]:.3g} {found.axes.loss_unit}); more is better.",
        )
        st.caption("Large marks: means over seeds, larger with the budget · small dots: seeds · bars: 95 %")


def arm_table(of: Compared) -> None:
    """One row per arm, means over seeds; the perplexity of every text, as a cost may hide in one of them."""
    known, base = of.known, of.group.base
    texts = list(base.texts)[:SHORT]
    names = {"toxicity": "toxicity_mean"} | {text: f"perplexity:{text}" for text in texts}
    at_zero: dict[str, Any] = {}
    for column, metric in names.items():
        held = study_data.base_measure(known, metric)
        at_zero |= {column: held.value, f"{column} %": 0.0}
    rows = [{"arm": "base model", "seeds": None} | at_zero]
    for arm in known.arms():
        row: dict[str, Any] = {"arm": arm.label, "seeds": len(arm.cells)}
        for column, metric in names.items():
            value = known.over_seeds(arm, metric).value
            row |= {column: value, f"{column} %": study_data.change(at_zero[column], value)}
        rows.append(row)
    frame = pd.DataFrame(rows)
    column_of = st.column_config
    config: dict[str, Any] = {
        "arm": column_of.TextColumn("Mean over seeds", width=230),
        "seeds": column_of.NumberColumn("Seeds", width=52),
        "toxicity": column_of.NumberColumn("Mean toxicity", format="%.4f", width=96),
        "toxicity %": column_of.NumberColumn("Change", format="%+.1f %%", width=66),
    }
    for text in texts:
        config[text] = column_of.NumberColumn(f"PPL {text}", format="%.3f", width=110, help=f"On {text}.")
        config[f"{text} %"] = column_of.NumberColumn("Change", format="%+.1f %%", width=66)
    st.dataframe(
        frame,
        hide_index=True,
        placeholder="",
        height=tables.height(len(frame), 9),
        column_config=config,
        alt="Mean toxicity and perplexity of every text, base model and arms, with changes",
    )
    downloads.table(frame, "arms", key="trade.arms.csv")


def run_table(of: Compared) -> None:
    """One number of every run with unit, n, interval, scorer and protocol."""
    metrics = study_data.stored(of.known)
    state.seed("trade.metric", TOXICITY if TOXICITY in metrics else next(iter(metrics)))
    metric = str(
        st.selectbox("Number", list(metrics), key="trade.metric", format_func=metrics.__getitem__, width=360)
    )
    models: list[tuple[str, int | None, Evaluation]] = [("base", None, of.group.base)]
    models += [
        (c.label, c.seed, c.run.evaluation)
        for c in of.cells
        if c.run is not None and c.run.evaluation is not None
    ]
    frame = pd.DataFrame([_line(name, seed, e, metric) for name, seed, e in models])
    column = st.column_config
    st.dataframe(
        frame,
        hide_index=True,
        placeholder="",
        height=tables.height(len(frame), 12),
        column_config={
            "model": column.TextColumn("Model", width=270),
            "seed": column.NumberColumn("Seed", width=52),
            "value": column.NumberColumn(metrics[metric], format="%.4g"),
            "low": column.NumberColumn("95 % low", format="%.4g"),
            "high": column.NumberColumn("95 % high", format="%.4g"),
            "n": column.NumberColumn("n", help="Prompts, documents or answers."),
        },
        alt=f"{metrics[metric]} of every run with its interval",
    )
    downloads.table(frame, metric.replace(":", "-"), key="trade.runs.csv")


def _line(name: str, seed: int | None, found: Evaluation, metric: str) -> dict[str, Any]:
    m = study_data.measures(found).get(metric, Measure(value=None))
    head = {
        "model": name,
        "seed": seed,
        "value": m.value,
        "low": m.low,
        "high": m.high,
        "n": m.n,
        "unit": m.unit,
    }
    return head | {"scorer": found.scorer, "protocol": found.protocol.name, "note": m.note}
