"""Budget curves: what each budget buys beside the full-data level, and the smallest that is enough."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.pipeline.study_numbers import TOXICITY
from core.pipeline.study_results import Curve, curves_of, smallest_budget
from ui import downloads, figures, state, study_data, study_figures, tables
from ui.guards import plain
from ui.study_data import Compared
from ui.study_figures import Line

EPSILON = 5.0  # percent of the full-data value
X = ("Rows", "Rows, log", "Share")


def line(curve: Curve) -> Line:
    """The curve as it is drawn."""
    points = curve.points
    return Line(
        strategy=curve.strategy,
        method=curve.method,
        rows=tuple(p.budget_rows for p in points),
        shares=tuple(p.share for p in points),
        values=tuple(p.value for p in points),
        seeds=tuple(p.seeds for p in points),
        full=curve.full,
    )


@st.cache_data(max_entries=32, show_spinner="Resampling prompts and documents")
def _curves(
    root: str, key: str, labels: tuple[tuple[str, str, str], ...], metric: str, _of: Compared
) -> list[Curve]:
    return curves_of(_of.known, metric)


@st.fragment
def view(of: Compared) -> None:
    """A number, an axis, one panel per method; below, the smallest budget within epsilon of all rows."""
    metrics = study_data.measured(of.known)
    state.seed("trade.curve", TOXICITY if TOXICITY in metrics else next(iter(metrics)))
    if st.session_state["trade.curve"] not in metrics:
        st.session_state["trade.curve"] = next(iter(metrics))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = str(
            st.selectbox(
                "Number",
                list(metrics),
                key="trade.curve",
                format_func=metrics.__getitem__,
                width=320,
                persist_state="session",
            )
        )
        axis = st.segmented_control(
            "Budget as", X, default=X[1], required=True, key="trade.axis", persist_state="session"
        )
    found = _curves(str(of.ws.root), of.group.key, of.labels, metric, of)
    if not any(curve.points for curve in found):
        st.info("No finished run chose a part of the rows, so there is no curve yet.")
        return
    frame = numbers(found)
    figures.show(
        study_figures.curves_figure(
            [line(c) for c in found],
            of.looks,
            y_title=metrics[metric],
            by_share=axis == X[2],
            log=axis == X[1],
        ),
        key="trade.curves",
        alt=f"{metrics[metric]} over the budget, a panel per method, a line per strategy with 95 % intervals",
        data=frame,
        name=f"{of.name}-curves",
    )
    seeds = sorted({len(p.seeds) for c in found for p in c.points})
    st.caption(
        plain(
            f"Lines: means over {' or '.join(map(str, seeds))} seeds · bands: 95 % intervals over prompts or "
            "documents, paired · small dots: single seeds · dashed: all rows with the same interval"
        )
    )
    _enough(found, metrics[metric], of.name)


def _enough(found: Sequence[Curve], title: str, name: str) -> None:
    """The smallest budget that is within epsilon of the full-data run."""
    st.subheader("Smallest budget that is enough")
    epsilon = st.slider(
        "Within this much of the full-data value",
        0.0,
        50.0,
        EPSILON,
        0.5,
        format="%g %%",
        key="trade.epsilon",
        width=420,
        persist_state="session",
    )
    frame = enough(found, float(epsilon) / 100)
    if frame["full data"].isna().all():
        st.info("The study has no finished full-data run yet, so there is no level to come close to.")
        return
    column = st.column_config
    st.dataframe(
        frame,
        key="trade.enough",
        hide_index=True,
        placeholder="",
        height=tables.height(len(frame), 12),
        column_config={
            "strategy": column.TextColumn("Strategy", width=130),
            "method": column.TextColumn("Method", width=110),
            "rows": column.NumberColumn("Rows", format="localized", width=70),
            "share": column.NumberColumn("Share", format="percent", width=70),
            "value": column.NumberColumn("Value there", format="%.4g", width=92),
            "low": column.NumberColumn("95 % low", format="%.4g", width=78),
            "high": column.NumberColumn("95 % high", format="%.4g", width=78),
            "full data": column.NumberColumn("All rows", format="%.4g", width=78),
            "seeds": column.NumberColumn("Seeds", width=50),
            "told": column.TextColumn("", width=136),
        },
        alt=f"Smallest budget within {epsilon:g} % of the full-data {title} by strategy and method",
    )
    downloads.table(frame, f"{name}-smallest-budget", key="trade.enough.csv")


def enough(found: Sequence[Curve], epsilon: float) -> pd.DataFrame:
    """One line per curve; `rows` is empty where no budget of the study suffices."""
    lines = []
    for curve in found:
        rows = smallest_budget(curve, epsilon) if curve.full is not None else None
        point = next((p for p in curve.points if p.budget_rows == rows), None)
        lines.append(
            {
                "strategy": curve.strategy,
                "method": curve.method,
                "rows": rows,
                "share": point.share if point else None,
                "value": point.value.value if point else None,
                "low": point.value.low if point else None,
                "high": point.value.high if point else None,
                "full data": curve.full.value if curve.full else None,
                "seeds": len(point.seeds) if point else None,
                "told": ""
                if point
                else "no full-data run"
                if curve.full is None
                else "no budget of the study",
            }
        )
    return pd.DataFrame(lines)


def numbers(found: Sequence[Curve]) -> pd.DataFrame:
    """Every point of every curve, the full-data level among them."""
    lines = []
    for curve in found:
        head = {"strategy": curve.strategy, "method": curve.method}
        for p in curve.points:
            end = {"value": p.value.value, "low": p.value.low, "high": p.value.high, "n": p.value.n}
            lines.append(head | {"rows": p.budget_rows, "share": p.share} | end | {"seeds": list(p.seeds)})
    return pd.DataFrame(lines)
