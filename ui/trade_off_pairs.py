"""Any two runs against each other: verdicts with paired intervals, and the spread of seeds told apart."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.evaluation import BASE
from ui import compare_runs, downloads, state, study_data, tables, theme
from ui.guards import plain
from ui.study_data import Compared

PARTS = ("Numbers", "Before and after", "By category")


@st.fragment
def view(of: Compared) -> None:
    """Two models chosen by name, or the clicked one against the base model; then what is told of them."""
    runs = {c.run.id: c.label for c in of.cells if c.run is not None}
    clicked = st.session_state.get("trade.run") or next(iter(runs))
    left, right = st.columns(2)
    state.seed("trade.pair.first", BASE)
    state.seed("trade.pair.second", clicked)
    for key, names in (("trade.pair.first", [BASE, *runs]), ("trade.pair.second", list(runs))):
        if st.session_state[key] not in names:
            st.session_state[key] = names[0]
    words = {BASE: "base model"} | runs
    first = left.selectbox(
        "First", [BASE, *runs], key="trade.pair.first", format_func=words.__getitem__, persist_state="session"
    )
    second = right.selectbox(
        "Second", list(runs), key="trade.pair.second", format_func=words.__getitem__, persist_state="session"
    )
    if first == second:
        st.info("That is one run twice; choose two different ones.")
        return
    part = st.segmented_control(
        "Show", PARTS, default=PARTS[0], required=True, key="trade.pair.part", label_visibility="collapsed"
    )
    if part == PARTS[0]:
        compare_runs.verdicts(of.ws, str(first), str(second), key="trade.pair")
        _spread(of, [str(first), str(second)])
    elif part == PARTS[1]:
        compare_runs.before_after(of.ws, str(first), str(second), key="trade.pair.texts")
    else:
        compare_runs.change_by_category(of.ws, str(first), str(second), key="trade.pair.harm")


def _spread(of: Compared, ids: list[str]) -> None:
    """The seeds of both runs' arms beside each other: another uncertainty than that of prompts."""
    st.subheader("Spread of the seeds")
    frame = spread(of, ids)
    if frame.empty:
        st.caption(
            "Neither run has a sister with another seed (n = 1 seed): how far seeds spread is not known."
        )
        return
    column = st.column_config
    st.dataframe(
        frame,
        hide_index=True,
        height=tables.height(len(frame), 8),
        column_config={
            "arm": column.TextColumn("Arm", width=260),
            "number": column.TextColumn("Number", width=190),
            "seeds": column.NumberColumn("Seeds", width=56),
            "lowest": column.NumberColumn("Lowest", format="%.4g", width=84),
            "mean": column.NumberColumn("Mean", format="%.4g", width=84),
            "highest": column.NumberColumn("Highest", format="%.4g", width=84),
            "values": column.TextColumn("Each seed", width=220),
        },
        alt="Lowest, mean and highest value over seeds of both arms",
    )
    st.caption(
        plain("Seeds differ in draw and training; the intervals above are over prompts and documents of one.")
    )
    downloads.table(frame, "seeds", key="trade.pair.seeds")


def spread(of: Compared, ids: list[str]) -> pd.DataFrame:
    """The arms of these runs that have several seeds: every seed's toxicity and perplexities."""
    arms = [a for a in of.known.arms() if len(a.cells) > 1 and {r.id for r in a.runs} & set(ids)]
    metrics = ["toxicity_mean", *(f"perplexity:{text}" for text in of.group.base.texts)]
    rows = []
    for arm in arms:
        for metric in metrics:
            seeds = of.known.seeds(arm, metric)
            if seeds:
                rows.append(
                    {
                        "arm": arm.label,
                        "number": study_data.measured(of.known).get(metric, metric),
                        "seeds": len(seeds),
                        "lowest": min(seeds),
                        "mean": of.known.over_seeds(arm, metric).value,
                        "highest": max(seeds),
                        "values": ", ".join(theme.number(v, 4) for v in seeds),
                    }
                )
    return pd.DataFrame(rows)
