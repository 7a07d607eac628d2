"""Figures of studies from plain values: budget curves, change by category, harm beside over-refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.values import Measure
from ui import theme
from ui.figures import NAMES_DOWN
from ui.study_looks import Looks

ACROSS = 3  # small multiples in a row
TALL = 300  # pixels of one of them
VERDICTS = {"better": "#0072B2", "worse": "#D55E00"}  # never red to green; the rest is grey


@dataclass(frozen=True)
class Line:
    """One strategy under one method: a value per budget."""

    strategy: str
    method: str
    rows: tuple[int, ...]
    shares: tuple[float, ...]
    values: tuple[Measure, ...]
    seeds: tuple[tuple[float, ...], ...]
    full: Measure | None


def curves_figure(
    lines: Sequence[Line], looks: Looks, *, y_title: str, by_share: bool, log: bool
) -> go.Figure:
    """One panel per method: a line per strategy with its interval as a band, all rows as a dashed level."""
    methods = list(dict.fromkeys(line.method for line in lines))
    across = min(len(methods), ACROSS) or 1
    down = -(-len(methods) // across) or 1
    figure = make_subplots(
        rows=down,
        cols=across,
        subplot_titles=[theme.short(m, 30) for m in methods],
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.16 if down > 1 else 0,
    )
    named: set[str] = set()
    for at, method in enumerate(methods):
        place = (at // across + 1, at % across + 1)
        here = [line for line in lines if line.method == method]
        for line in here:
            _curve(
                figure, line, looks.colour(line.strategy), place, by_share, first=line.strategy not in named
            )
            named.add(line.strategy)
        full = next((line.full for line in here if line.full is not None), None)
        if full is not None and full.value is not None:
            _level(figure, full, place, first="" not in named)
            named.add("")
    figure.update_layout(**theme.layout(TALL * down + 60, margin={"l": 8, "r": 8, "t": 54, "b": 8}))
    figure.update_layout(**theme.legend(y=1.0 + 34 / (TALL * down), traceorder="normal"))
    title = "Share of the eligible rows" if by_share else "Budget, rows"
    ticks = {} if by_share else _budget_ticks(lines, log)
    figure.update_xaxes(fixedrange=True, type="log" if log else "linear", **ticks)
    figure.update_xaxes(tickformat=".3~p" if by_share else ",d")
    figure.update_xaxes(title={"text": title}, row=down)
    figure.update_yaxes(fixedrange=True)
    figure.update_yaxes(title={"text": y_title}, col=1)
    return figure


def _budget_ticks(lines: Sequence[Line], log: bool) -> dict[str, object]:
    """A tick at every budget where the axis is logarithmic: no other number was measured."""
    rows = sorted({n for line in lines for n in line.rows})
    if not log or len(rows) > 8:  # noqa: PLR2004 - more would run into each other
        return {}
    return {"tickvals": rows, "ticktext": [f"{n:,}" for n in rows], "minor": {"ticks": ""}}


def _curve(
    figure: go.Figure, line: Line, colour: str, place: tuple[int, int], by_share: bool, *, first: bool
) -> None:
    known = [i for i, m in enumerate(line.values) if m.value is not None]
    x = [(line.shares if by_share else line.rows)[i] for i in known]
    y = [line.values[i].value for i in known]
    low = [m.value if m.low is None else m.low for m in (line.values[i] for i in known)]
    high = [m.value if m.high is None else m.high for m in (line.values[i] for i in known)]
    group = {"legendgroup": line.strategy, "hoverinfo": "skip", "showlegend": False}
    if len(known) > 1:
        band = {"mode": "none", "fill": "toself", "fillcolor": faint(colour, 0.14), **group}
        figure.add_trace(go.Scatter(x=[*x, *x[::-1]], y=[*high, *low[::-1]], **band), *place)
    dots = [(x[at], v) for at, i in enumerate(known) for v in line.seeds[i] if len(line.seeds[i]) > 1]
    marks = {"mode": "markers", "marker": {"size": 5, "color": colour, "opacity": 0.55}, **group}
    figure.add_trace(go.Scatter(x=[d[0] for d in dots], y=[d[1] for d in dots], **marks), *place)
    name = theme.short(line.strategy, 34)
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=name,
            legendgroup=line.strategy,
            showlegend=first,
            line={"width": 2, "color": colour},
            marker={"size": 8},
            error_y=_bars(y, low, high, colour) if len(known) == 1 else None,
            customdata=np.array([low, high], dtype=float).T,
            hovertemplate=f"{name}, %{{x}}<br>%{{y:.4g}} "
            "[%{customdata[0]:.4g}, %{customdata[1]:.4g}]<extra></extra>",
        ),
        *place,
    )


def _bars(y: list[Any], low: list[Any], high: list[Any], colour: str) -> dict[str, Any]:
    """The interval of a single budget, which has no band."""
    up, down = ([abs(end - v) for v, end in zip(y, ends, strict=True)] for ends in (high, low))
    shape = {"type": "data", "symmetric": False, "width": 0, "thickness": 1.4, "color": colour}
    return shape | {"array": up, "arrayminus": down}


def _level(figure: go.Figure, full: Measure, place: tuple[int, int], *, first: bool) -> None:
    """The full-data level across the panel, with its interval."""
    colour = theme.grey("text")
    figure.add_hline(
        y=full.value, line={"dash": "dash", "width": 1.4, "color": colour}, row=place[0], col=place[1]
    )
    if full.low is not None and full.high is not None:
        band = {"y0": full.low, "y1": full.high, "line_width": 0, "fillcolor": faint(colour, 0.08)}
        figure.add_hrect(**band, row=place[0], col=place[1])
    if first:  # the line is no trace, the legend needs one
        look = {"dash": "dash", "width": 1.4, "color": colour}
        figure.add_trace(go.Scatter(x=[None], y=[None], mode="lines", name="all rows", line=look), *place)


def faint(colour: str, opacity: float) -> str:
    """The colour, see-through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def category_figure(frame: pd.DataFrame) -> go.Figure:
    """Change by category as bars to both sides of zero, with intervals; the colour tells the verdict.

    Columns of `frame`: category, n, before, after, change, low, high, verdict; less is better.
    """
    part = frame.iloc[::-1]
    names = [f"{theme.short(str(c), 26)} ({n:,})" for c, n in zip(part["category"], part["n"], strict=True)]
    colours = [VERDICTS.get(str(v), theme.grey("other")) for v in part["verdict"]]
    ink = theme.grey("text")
    figure = go.Figure(
        go.Bar(
            x=part["change"],
            y=names,
            orientation="h",
            marker={"color": colours, "line": {"width": 0}},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (part["high"] - part["change"]).fillna(0),
                "arrayminus": (part["change"] - part["low"]).fillna(0),
                "width": 0,
                "thickness": 1.4,
                "color": ink,
            },
            customdata=part[["before", "after", "verdict"]],
            hovertemplate="%{y}<br>%{customdata[0]:.3f} to %{customdata[1]:.3f}: %{x:+.3f}, "
            "%{customdata[2]}<extra></extra>",
        )
    )
    figure.update_layout(
        **theme.layout(
            30 * max(len(part), 2) + 64,
            bargap=0.4,
            xaxis={
                "title": {"text": "Change of mean toxicity (left is better)"},
                "fixedrange": True,
                "zeroline": True,
                "zerolinecolor": ink,
            },
            yaxis={**NAMES_DOWN, "autorange": True},
        )
    )
    return figure


def left_figure(frame: pd.DataFrame) -> go.Figure:
    """What harm is left by category, in the frame's order: the value after over the one before."""
    part = frame
    names = [theme.short(str(c), 26) for c in part["category"]]
    figure = go.Figure()
    for column, colour, width in (("before", theme.grey("none"), 0.8), ("after", theme.grey("accent"), 0.4)):
        figure.add_trace(
            go.Bar(
                x=part[column],
                y=names,
                orientation="h",
                name=column,
                width=width,
                marker={"color": colour, "line": {"width": 0}},
                hovertemplate=f"{column} %{{x:.3f}}<extra></extra>",
            )
        )
    axis = {"title": {"text": "Mean toxicity"}, "fixedrange": True, "nticks": 5}
    height = 30 * max(len(part), 2) + 84
    figure.update_layout(**theme.layout(height, barmode="overlay", xaxis=axis, yaxis=NAMES_DOWN))
    figure.update_layout(**theme.legend(traceorder="normal"))
    return figure
