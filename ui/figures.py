"""Plotly figures from plain arrays: the map, bars of shares; nothing here knows pools or files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from core.values import Rows
from ui import downloads, theme
from ui.colours import Colouring

POINTS = 20_000  # above this the browser gets a picture instead of points
RINGS = 400  # above this rings are thin, or they would hide what they mark
CELLS = 700  # of that picture, along the longer side

NAMES_DOWN = {  # the axis of bars: names from the top down, no zoom
    "type": "category",
    "autorange": "reversed",
    "automargin": True,
    "showgrid": False,
    "fixedrange": True,
    "title": None,
}


def frame_box(xy: NDArray[np.floating], pad: float = 0.03) -> tuple[list[float], list[float]]:
    """Axis ranges that hold all points, with a little room, so that the map fills its frame."""
    good = xy[np.isfinite(xy).all(axis=1)]
    if not len(good):
        return [0.0, 1.0], [0.0, 1.0]
    low, high = good.min(axis=0).astype(float), good.max(axis=0).astype(float)
    room = np.maximum((high - low) * pad, 1e-3)
    return [float(low[0] - room[0]), float(high[0] + room[0])], [
        float(low[1] - room[1]),
        float(high[1] + room[1]),
    ]


def map_figure(
    xy: NDArray[np.floating],
    colouring: Colouring,
    rows: Rows,
    ringed: Rows,
    *,
    height: int = 560,
    legend: bool = False,
) -> go.Figure:
    """The map: dots for `rows` (one picture above 20,000), a ring around each of `ringed`; no text inside.

    `legend` names the colours above it, for places where no legend of bars stands beside.
    """
    x_range, y_range = frame_box(xy)
    figure = go.Figure()
    few = len(ringed) <= RINGS
    if len(rows) <= POINTS:
        figure.add_trace(_dots(xy, colouring, rows, height))
    else:
        figure.add_layout_image(_picture(xy, colouring, rows, x_range, y_range))
        corners = {
            "x": x_range,
            "y": y_range,
            "marker": {"opacity": 0},
        }  # so that box and lasso have axes to draw on
        figure.add_trace(go.Scattergl(mode="markers", hoverinfo="skip", **corners))
    figure.add_trace(
        go.Scattergl(
            x=xy[ringed, 0].astype(np.float32),
            y=xy[ringed, 1].astype(np.float32),
            mode="markers",
            hoverinfo="skip",
            marker={
                "symbol": "circle-open",
                "size": 9 if few else 5,
                "color": theme.grey("ring"),
                "line": {"width": 1.6 if few else 0.9, "color": theme.grey("ring")},
            },
            unselected={"marker": {"opacity": 1}},
        )
    )
    axis = {"visible": False, "showgrid": False, "zeroline": False}
    figure.update_layout(
        **theme.layout(
            height,
            dragmode="lasso",
            xaxis={**axis, "range": x_range},
            yaxis={**axis, "range": y_range},
            margin={"l": 0, "r": 0, "t": 0, "b": 0},
            newselection={"line": {"color": theme.grey("accent"), "width": 2, "dash": "solid"}},
            uirevision="map",
        )
    )
    if legend:
        _name_colours(figure, colouring, rows)
    return figure


def _name_colours(figure: go.Figure, colouring: Colouring, rows: Rows) -> None:
    """Empty traces, one per colour in use: the dots are one trace and have no names of their own."""
    for name, colour, count in zip(colouring.names, colouring.colours, colouring.counts(rows), strict=True):
        if count:
            dot = {"color": colour, "size": 9}
            figure.add_trace(
                go.Scatter(x=[None], y=[None], mode="markers", marker=dot, name=theme.short(name))
            )
    for trace in figure.data[:2]:
        trace.showlegend = False
    figure.update_layout(**theme.legend())


def _dots(xy: NDArray[np.floating], colouring: Colouring, rows: Rows, height: int) -> go.Scattergl:
    if colouring.values is not None:
        rows = rows[np.argsort(np.nan_to_num(colouring.values[rows], nan=-1.0), kind="stable")]  # high on top
        colour: Any = np.nan_to_num(colouring.values[rows], nan=-0.05)
        scale = _scale_with_missing(colouring.colours[-1])
        span = {"cmin": -0.1, "cmax": 1.0}
    else:
        k = len(colouring.colours)
        colour, span = colouring.codes[rows], {"cmin": -0.5, "cmax": k - 0.5}
        scale = [(edge / k, c) for i, c in enumerate(colouring.colours) for edge in (i, i + 1)]
    size = float(np.clip(10.5 - 1.8 * np.log10(max(len(rows), 1)), 2.8, 8)) * height / 560
    return go.Scattergl(
        x=xy[rows, 0].astype(np.float32),
        y=xy[rows, 1].astype(np.float32),
        customdata=rows.astype(np.int32),
        mode="markers",
        marker={"color": colour, "colorscale": scale, "size": size, "opacity": 0.85, **span},
        hovertemplate="row %{customdata}<extra></extra>",
        unselected={"marker": {"opacity": 0.18}},
    )


def _scale_with_missing(missing: str) -> list[tuple[float, str]]:
    """The toxicity scale over 0..1 of the range -0.1..1, one grey below 0 for missing scores."""
    start, stops = 0.1 / 1.1, theme.TOXICITY
    edges = [*np.linspace(start, 1.0, len(stops)).tolist()[:-1], 1.0]  # Plotly drops a scale not ending at 1
    return [(0.0, missing), (start, missing), *zip(edges, stops, strict=True)]


def _picture(
    xy: NDArray[np.floating], colouring: Colouring, rows: Rows, x_range: list[float], y_range: list[float]
) -> dict[str, Any]:
    """A density image: each cell has the mixed colour of its rows, more opaque where there are more."""
    from io import BytesIO

    from PIL import Image

    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colouring.colours], dtype=np.float64)
    unit = (xy[rows] - [x_range[0], y_range[0]]) / [x_range[1] - x_range[0], y_range[1] - y_range[0]]
    cell = np.clip((unit * CELLS).astype(int), 0, CELLS - 1)
    flat = (CELLS - 1 - cell[:, 1]) * CELLS + cell[:, 0]
    count = np.bincount(flat, minlength=CELLS * CELLS)
    colour = rgb[colouring.codes[rows]]
    mixed = np.stack([np.bincount(flat, colour[:, i], CELLS * CELLS) for i in range(3)], axis=1)
    colours = mixed / np.maximum(count, 1)[:, None]
    strength = np.log1p(count) / np.log1p(max(int(count.max(initial=1)), 1))
    alpha = np.where(count > 0, 110 + 145 * strength, 0)
    image = np.concatenate([colours, alpha[:, None]], axis=1).reshape(CELLS, CELLS, 4).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(image, "RGBA").save(file, "PNG")
    import base64

    return {
        "source": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode(),
        "xref": "x",
        "yref": "y",
        "x": x_range[0],
        "y": y_range[1],
        "sizex": x_range[1] - x_range[0],
        "sizey": y_range[1] - y_range[0],
        "sizing": "stretch",
        "layer": "below",
    }


def legend_bars(colouring: Colouring, rows: Rows) -> tuple[go.Figure, pd.DataFrame]:
    """The legend of the map as bars: each class in its colour, with its count among `rows`."""
    counts = colouring.counts(rows)
    keep = [i for i in range(len(counts)) if counts[i] or i < len(theme.PALETTE)]
    keep = [i for i in keep if counts[i]]
    frame = pd.DataFrame({"class": [colouring.names[i] for i in keep], "rows": counts[keep]})
    figure = go.Figure(
        go.Bar(
            x=frame["rows"],
            y=[theme.short(c, 22) for c in frame["class"]],
            orientation="h",
            marker={"color": [colouring.colours[i] for i in keep], "line": {"width": 0}},
            text=[f"{c:,}" for c in frame["rows"]],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    top = max(int(frame["rows"].max()) if len(frame) else 1, 1)
    figure.update_layout(
        **theme.layout(
            26 * len(keep) + 16,
            bargap=0.35,
            xaxis={"visible": False, "range": [0, top * 1.6], "fixedrange": True},
            yaxis=NAMES_DOWN,
        )
    )
    return figure, frame


def share_bars(
    names: Sequence[str], chosen: Sequence[float], whole: Sequence[float], *, limit: int = 14
) -> tuple[go.Figure, pd.DataFrame]:
    """Shares of the selection (accent bar) and of the eligible rows (grey bar), in percent, largest first."""
    frame = pd.DataFrame({"group": list(names), "selected %": list(chosen), "eligible %": list(whole)})
    frame = frame.sort_values("eligible %", ascending=False, kind="stable").reset_index(drop=True)
    part = frame.head(limit)
    labels = [theme.short(str(n), 24) for n in part["group"]]
    figure = go.Figure()
    for column, colour, width in (
        ("eligible %", theme.grey("none"), 0.8),
        ("selected %", theme.grey("accent"), 0.4),
    ):
        figure.add_trace(
            go.Bar(
                x=part[column],
                y=labels,
                orientation="h",
                name=column.split()[0],
                width=width,
                marker={"color": colour, "line": {"width": 0}},
                hovertemplate=f"%{{x:.1f}} % of the {column.split()[0]} rows<extra></extra>",
            )
        )
    figure.update_layout(
        **theme.layout(
            25 * len(part) + 62,
            barmode="overlay",
            xaxis={"ticksuffix": " %", "fixedrange": True, "nticks": 5, "title": None},
            yaxis=NAMES_DOWN,
        )
    )
    figure.update_layout(**theme.legend(traceorder="reversed"))
    return figure, frame


def lines_figure(
    frame: pd.DataFrame, x: str, names: Sequence[str], *, y_title: str, height: int = 240
) -> go.Figure:
    """One line per column of `frame` over `x`."""
    figure = go.Figure()
    for i, name in enumerate(names):
        part = frame[[x, name]].dropna()
        figure.add_trace(
            go.Scatter(
                x=part[x],
                y=part[name],
                name=theme.short(name),
                mode="lines" if len(part) > 1 else "markers",
                line={"width": 2, "color": theme.PALETTE[i % len(theme.PALETTE)]},
            )
        )
    figure.update_layout(
        **theme.layout(
            height,
            margin={"l": 8, "r": 8, "t": 26, "b": 8},
            xaxis={"title": {"text": x}, "fixedrange": True},
            yaxis={"title": {"text": y_title}, "fixedrange": True},
        )
    )
    figure.update_layout(**(theme.legend() if len(names) > 1 else {}))
    return figure


def show(
    figure: go.Figure, *, key: str, alt: str, data: pd.DataFrame | None = None, name: str = "figure"
) -> None:
    """Draw a figure to look at, with its numbers to take along; the mode bar saves the picture."""
    st.plotly_chart(figure, key=key, config={**theme.CONFIG, "displayModeBar": "hover"}, alt=alt)
    if data is not None:
        downloads.table(data, name, key=f"{key}.data", label="Numbers (csv)")
