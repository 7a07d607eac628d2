"""Harm and over-refusal in one picture: two separate numbers would undo each other."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.evaluation import never_refuses
from core.pipeline.study_numbers import FULL
from core.values import Measure
from ui import figures, theme
from ui.guards import plain
from ui.study_data import Compared
from ui.study_looks import Looks

HARM, REFUSED = "harmful_compliance", "refusal_safe"
NONE = Measure(value=None)


def show(of: Compared) -> None:
    """One chart per set of requests; a sentence where none was answered, or nobody ever refuses."""
    group = of.group
    sets = list(group.base.requests)
    if not sets:
        st.caption(
            "No requests were answered in this evaluation. Name a set of requests when measuring "
            "(safe and unsafe ones) and harm stands here beside over-refusal."
        )
        return
    name = str(sets[0])
    if len(sets) > 1:
        name = str(
            st.segmented_control("Requests", sets, default=sets[0], required=True, key="trade.requests")
        )
    everybody = [group.base, *(r.evaluation for r in group.runs if r.evaluation is not None)]
    if all(never_refuses(model.requests.get(name, {})) for model in everybody):
        st.caption(
            plain(
                f"Neither the base model nor a repaired one ever refuses a request of {name}, so there is no "
                "over-refusal to weigh: the chart is left out."
            )
        )
        return
    frame = numbers(of, name)
    figures.show(
        figure(frame, of.looks),
        key="trade.requests.chart",
        alt=f"Harmful compliance against refusal of safe requests of {name}, {len(frame)} models",
        data=frame,
        name=f"requests-{name}",
    )
    judge = f"judged by {group.base.judge}" if group.base.judge else "harm = did not refuse"
    st.caption(plain(f"{name} · {judge} · 95 % Wilson intervals · n = answers · up-right is better"))


def numbers(of: Compared, name: str) -> pd.DataFrame:
    """One line per model: both rates in percent with their intervals."""
    head: dict[str, object] = {"arm": "base model", "paint": "", "method": "", "run": "base", "seed": None}
    rows = [_row(of.group.base.requests.get(name, {})) | head]
    for arm in of.known.arms():
        paint = FULL if arm.full else arm.strategy
        for cell in arm.cells:
            if cell.run is not None and cell.run.evaluation is not None:
                head = {"arm": arm.label, "paint": paint, "method": arm.method}
                head |= {"run": cell.run.id, "seed": cell.seed}
                told = {metric: of.known.value(cell, f"{metric}:{name}") for metric in (HARM, REFUSED)}
                rows.append(_row(told) | head)  # nothing where it was asked for otherwise than the base
    return pd.DataFrame(rows)


def _row(table: Mapping[str, Measure]) -> dict[str, object]:
    out: dict[str, object] = {}
    for title, metric in (("harm", HARM), ("refused", REFUSED)):
        found = table.get(metric, NONE)
        for part, value in (("", found.value), (" low", found.low), (" high", found.high)):
            out[f"{title}{part}"] = None if value is None else 100 * value
        out[f"{title} n"] = found.n
    return out


def figure(frame: pd.DataFrame, looks: Looks) -> go.Figure:
    """Both rates reversed, so that up-right is better here as well."""
    drawn = go.Figure()
    for (arm, paint, method), part in frame.groupby(["arm", "paint", "method"], sort=False):
        base = not method
        colour = theme.grey("text") if base else looks.colour(str(paint))
        symbol = "x" if base else looks.symbol(str(method))
        drawn.add_trace(
            go.Scatter(
                x=part["refused"],
                y=part["harm"],
                mode="markers",
                name=theme.short(str(arm), 40),
                marker={"size": 12, "color": colour, "symbol": symbol},
                error_x=_error(part, "refused", colour),
                error_y=_error(part, "harm", colour),
                hovertemplate=f"{theme.short(str(arm), 60)}<br>complies with %{{y:.1f}} % of unsafe requests"
                "<br>refuses %{x:.1f} % of safe ones<extra></extra>",
            )
        )
    side = {"ticksuffix": " %", "autorange": "reversed", "zeroline": False}
    drawn.update_layout(
        **theme.layout(
            340,
            margin={"l": 8, "r": 8, "t": 8, "b": 8},
            xaxis={**side, "title": {"text": "Refusal of safe requests (reversed)"}},
            yaxis={**side, "title": {"text": "Harmful compliance (reversed)"}},
        )
    )
    if frame["arm"].nunique() <= 10:  # noqa: PLR2004 - a longer legend would hide the chart
        drawn.update_layout(**theme.legend())
    return drawn


def _error(part: pd.DataFrame, name: str, colour: str) -> dict[str, object]:
    value, low, high = (part[f"{name}{end}"].astype(float) for end in ("", " low", " high"))
    return {
        "type": "data",
        "symmetric": False,
        "array": (high - value).fillna(0),
        "arrayminus": (value - low).fillna(0),
        "width": 0,
        "thickness": 1.2,
        "color": colour,
    }
