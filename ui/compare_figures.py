"""Figures of selections side by side, from plain arrays: overlap, UpSet, balance, score histograms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from ui import theme

GROUPS = 14  # labels of one balance chart
BARS = 12  # intersections of one UpSet plot
TICKS = 34  # pixels of an axis' numbers
LANES = 0.8  # of a label's height, shared by the dots of all selections
FIXED = {"fixedrange": True, "title": None}


def _line_of(names: Sequence[str], length: int = 20) -> list[str]:
    """Axis labels, cut and still distinct: Plotly would draw equal ones on one line."""
    short = [theme.short(name, length) for name in names]
    return [s if short.count(s) == 1 else f"{i + 1} {s}" for i, s in enumerate(short)]


def overlap(
    names: Sequence[str], jaccard: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[go.Figure, pd.DataFrame]:
    """Heat map of the shared part of every two selections, with what chance would give in each cell."""
    k, labels = len(names), _line_of(names, 16)
    off = ~np.eye(k, dtype=bool)
    shown = np.where(off, jaccard, np.nan)
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=labels,
            y=labels,
            zmin=0.0,
            zmax=1.0,
            xgap=2,
            ygap=2,
            colorscale=[(0.0, theme.grey("panel")), (1.0, theme.grey("accent"))],
            showscale=False,
            hoverinfo="skip",
        )
    )
    for i in range(k):
        for j in range(k):
            if i != j:
                text = f"<b>{jaccard[i, j]:.2f}</b><br>chance {expected[i, j]:.2f}"
                font = {"size": 12, "color": _ink(jaccard[i, j])}
                figure.add_annotation(x=labels[j], y=labels[i], text=text, showarrow=False, font=font)
    figure.update_layout(
        **theme.layout(
            max(58 * k, 116) + 70,
            xaxis={**FIXED, "showgrid": False, "automargin": True, "tickangle": -30},
            yaxis={**FIXED, "showgrid": False, "automargin": True, "autorange": "reversed"},
        )
    )
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    frame = pd.DataFrame(
        {
            "left": [names[i] for i, _ in pairs],
            "right": [names[j] for _, j in pairs],
            "jaccard": [float(jaccard[p]) for p in pairs],
            "expected by chance": [float(expected[p]) for p in pairs],
        }
    )
    return figure, frame


def _ink(share: float) -> str:
    """Text that reads on the cell: the accent is dark in the light theme and light in the dark one."""
    if share <= 0.5:  # noqa: PLR2004 - half way between ground and accent
        return theme.grey("text")
    return "#FFFFFF" if theme.kind() == "light" else "#11181A"


def upset(
    names: Sequence[str],
    colours: Sequence[str],
    sizes: Sequence[int],
    intersections: Sequence[tuple[tuple[int, ...], int]],
) -> tuple[go.Figure, pd.DataFrame]:
    """Bars over a matrix of dots: how many rows are in exactly the selections whose dots are filled."""
    part, k = list(intersections)[:BARS], len(names)
    columns = list(range(len(part)))
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=[0.58, 0.42])
    figure.add_trace(_bars(columns, part, colours), 1, 1)
    figure.add_trace(_empty_dots(columns, k), 2, 1)
    for c, (members, _) in enumerate(part):
        line = {"color": theme.grey("text"), "width": 2}
        dots = {"size": 12, "color": [colours[m] for m in members]}
        figure.add_trace(
            go.Scatter(
                x=[c] * len(members),
                y=list(members),
                mode="lines+markers",
                line=line,
                marker=dots,
                hoverinfo="skip",
            ),
            2,
            1,
        )
    top = max((count for _, count in part), default=1)
    figure.update_layout(**theme.layout(190 + 30 * k, bargap=0.35))
    figure.update_xaxes(visible=False, fixedrange=True, range=[-0.6, max(len(part), 4) - 0.4])
    figure.update_yaxes(row=1, fixedrange=True, range=[0, 1.18 * top], title={"text": "rows"}, nticks=4)
    labels = [f"{n} ({s:,})" for n, s in zip(_line_of(names, 18), sizes, strict=True)]
    figure.update_yaxes(
        row=2,
        fixedrange=True,
        tickvals=list(range(k)),
        ticktext=labels,
        range=[k - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    frame = pd.DataFrame(
        {"in exactly": [" & ".join(names[m] for m in members) for members, _ in intersections]}
        | {"rows": [count for _, count in intersections]}
    )
    return figure, frame


def _bars(columns: list[int], part: Sequence[tuple[tuple[int, ...], int]], colours: Sequence[str]) -> go.Bar:
    """One bar per intersection; rows of one selection alone stand in its colour."""
    shared = theme.grey("other")
    return go.Bar(
        x=columns,
        y=[count for _, count in part],
        marker={"color": [colours[m[0]] if len(m) == 1 else shared for m, _ in part], "line": {"width": 0}},
        text=[f"{count:,}" for _, count in part],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )


def _empty_dots(columns: list[int], k: int) -> go.Scatter:
    return go.Scatter(
        x=[c for c in columns for _ in range(k)],
        y=[i for _ in columns for i in range(k)],
        mode="markers",
        marker={"size": 10, "color": theme.grey("none")},
        hoverinfo="skip",
    )


def balance(
    groups: Sequence[str],
    pool: NDArray[np.float64],
    arms: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    colours: Sequence[str],
) -> tuple[go.Figure, pd.DataFrame]:
    """Share of each label in the pool (grey bar) and in every selection (dots), in percent, largest first."""
    order = np.argsort(-pool, kind="stable")[:GROUPS]
    places, lane = np.arange(len(order)), LANES / max(len(names), 1)
    height, below = (20 + 4 * len(names)) * max(len(order), 2), TICKS + 20 * (len(names) + 1)
    figure = go.Figure(
        go.Bar(
            x=100 * pool[order],
            y=places,
            orientation="h",
            name="eligible rows",
            width=0.84,
            marker={"color": theme.grey("none"), "line": {"width": 0}},
            hovertemplate="%{x:.1f} % of the eligible rows<extra></extra>",
        )
    )
    for i, (name, colour, share) in enumerate(zip(names, colours, arms, strict=True)):
        figure.add_trace(
            go.Scatter(
                x=100 * share[order],
                y=places + lane * (i - (len(names) - 1) / 2),  # a lane each: equal shares hide nobody
                mode="markers",
                cliponaxis=False,
                name=theme.short(name),
                marker={"color": colour, "size": 9, "line": {"width": 1, "color": theme.grey("ground")}},
                hovertemplate=f"%{{x:.1f}} % of {theme.short(name)}<extra></extra>",
            )
        )
    figure.update_layout(
        **theme.layout(
            height + below,
            margin={"l": 4, "r": 4, "t": 4, "b": below},
            xaxis={**FIXED, "ticksuffix": " %", "nticks": 5, "rangemode": "tozero"},
            yaxis={
                **FIXED,
                "tickvals": places,
                "ticktext": _line_of([groups[i] for i in order], 24),
                "range": [len(order) - 0.5, -0.5],
                "showgrid": False,
                "zeroline": False,
                "automargin": True,
            },
        )
    )
    figure.update_layout(  # below, one name a line: above, long names would cover the bars
        **theme.legend(orientation="v", y=-TICKS / height, yanchor="top", maxheight=below)
    )
    shares = {f"{n} %": 100 * s for n, s in zip(names, arms, strict=True)}
    return figure, pd.DataFrame({"group": list(groups), "eligible %": 100 * pool} | shares)


def histogram(
    edges: NDArray[np.float64],
    pool: NDArray[np.int64],
    arms: NDArray[np.int64],
    names: Sequence[str],
    colours: Sequence[str],
    title: str,
) -> tuple[go.Figure, pd.DataFrame]:
    """One score over the eligible rows (grey area) and over every selection (steps), in percent of each."""
    figure = go.Figure(_steps(edges, pool, "eligible rows", theme.grey("none"), fill="tozeroy"))
    for name, colour, counts in zip(names, colours, arms, strict=True):
        figure.add_trace(_steps(edges, counts, theme.short(name), colour))
    figure.update_layout(
        **theme.layout(
            340,
            margin={"l": 8, "r": 8, "t": 30, "b": 8},
            xaxis={"title": {"text": theme.short(title, 60)}, "fixedrange": True, "showgrid": False},
            yaxis={"ticksuffix": " %", "fixedrange": True, "nticks": 5, "rangemode": "tozero"},
        )
    )
    figure.update_layout(**theme.legend())
    counts = {f"{n} rows": a for n, a in zip(names, arms, strict=True)}
    return figure, pd.DataFrame({"from": edges[:-1], "to": edges[1:], "eligible rows": pool} | counts)


def _steps(
    edges: NDArray[np.float64], counts: NDArray[np.int64], name: str, colour: str, fill: str | None = None
) -> go.Scatter:
    """Percent per bin as a line with steps at the edges, down to zero at both ends."""
    share = 100 * counts / max(int(counts.sum()), 1)
    return go.Scatter(
        x=np.repeat(edges, 2),
        y=np.concatenate([[0.0], np.repeat(share, 2), [0.0]]),
        mode="lines",
        name=name,
        fill=fill,
        line={"color": colour, "width": 2},
        hovertemplate=f"%{{y:.1f}} % of {name}<extra></extra>",
    )
