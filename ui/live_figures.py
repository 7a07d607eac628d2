"""Small charts of a run as it happens: lines over steps, and the blocks' sensitivity as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ui import theme
from ui.live_rows import Live, blocks, chosen, columns

SMALL = 158  # pixels: four rows of them are one glance
MANY = 120  # columns of the heat map from which marks are thin


def _layout(title: str, height: int = SMALL, **more: Any) -> dict[str, Any]:
    """A chart that is read in passing: its title is its y axis, its x axis is always the step."""
    font = {"size": 12.5, "weight": 500}
    heading = {"text": title, "font": font, "x": 0, "xref": "paper", "y": 0.985, "yanchor": "top"}
    axis = {"fixedrange": True, "title": None, "nticks": 5, "tickfont": {"size": 11}}
    return theme.layout(
        height,
        title=heading,
        margin={"l": 4, "r": 8, "t": 26, "b": 4},
        xaxis={**axis, "showgrid": False},
        yaxis={**axis, "nticks": 4},
        hovermode="x unified",
        uirevision="live",
        **more,
    )


def lines(
    frame: pd.DataFrame, names: Mapping[str, str], title: str, *, dashed: float | None = None, unit: str = ""
) -> go.Figure:
    """Columns of `frame` over its steps, each in its colour; a missing value is a gap, never zero.

    `dashed` draws the value before training. Few points get a dot each.
    """
    figure = go.Figure()
    dots = len(frame) <= 40  # noqa: PLR2004
    for name, colour in names.items():
        figure.add_trace(
            go.Scatter(
                x=frame["step"],
                y=frame[name].astype(float),
                name=theme.short(name.replace("_", " ")),
                mode="lines+markers" if dots else "lines",
                line={"width": 1.8, "color": colour},
                marker={"size": 5},
                connectgaps=False,
                hovertemplate="%{y:.4~g}" + unit + ("" if len(names) > 1 else "<extra></extra>"),
            )
        )
    figure.update_layout(**_layout(title))
    if dashed is not None and dashed == dashed:
        line = {"dash": "dash", "width": 1.3, "color": theme.grey("other")}
        figure.add_hline(y=dashed, line=line)
    if len(names) > 1:
        place = {"x": 1, "xanchor": "right", "yref": "container", "y": 0.99, "yanchor": "top"}
        place |= {"font": {"size": 11}}
        figure.update_layout(**theme.legend(**place, itemwidth=30))
    return figure


def colours(names: Sequence[str]) -> dict[str, str]:
    """The whole loss in the text's colour, its terms in the palette's order."""
    palette = iter(theme.PALETTE * (len(names) // len(theme.PALETTE) + 1))
    return {n: theme.grey("text") if n == "loss" else next(palette) for n in names}


def validation(frame: pd.DataFrame) -> go.Figure:
    """Validation as dots, the best one ringed and named; lower is better."""
    title = "Validation"
    figure = go.Figure(
        go.Scatter(
            x=frame["step"],
            y=frame["validation"].astype(float),
            mode="markers",
            marker={"size": 6, "color": theme.PALETTE[0]},
            hovertemplate="%{y:.4~g}<extra></extra>",
        )
    )
    best = frame[frame["step"] == frame["best_step"].iloc[-1]]
    if len(best):
        step, value = int(best["step"].iloc[0]), float(best["validation"].iloc[0])
        ring = {"size": 13, "symbol": "circle-open", "color": theme.grey("accent"), "line": {"width": 2}}
        figure.add_trace(go.Scatter(x=[step], y=[value], mode="markers", marker=ring, hoverinfo="skip"))
        title += f", best at step {step:,}"
    figure.update_layout(**_layout(title))
    return figure


def heat_map(live: Live) -> go.Figure:
    """Sensitivity of each block before each step in log colour, the chosen block marked, counts beside."""
    at, largest = columns(live)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.log10(largest.T)
    z[~np.isfinite(z)] = np.nan
    number = live.sensitivity.shape[1]
    figure = make_subplots(1, 2, shared_yaxes=True, column_widths=[0.86, 0.14], horizontal_spacing=0.012)
    figure.add_trace(
        go.Heatmap(
            x=at,
            y=list(range(number)),
            z=z.astype(np.float32),
            customdata=largest.T.astype(np.float32),
            colorscale="Cividis",
            colorbar=_colour_bar(z),
            hovertemplate="step %{x:.0f}, block %{y}: S = %{customdata:.3~g}<extra></extra>",
        ),
        1,
        1,
    )
    column, block = chosen(live)
    mark = {
        "symbol": "square",
        "size": 3 if len(at) > MANY else 5,
        "color": theme.PALETTE[5],
        "line": {"width": 0},
    }
    figure.add_trace(go.Scatter(x=at[column], y=block, mode="markers", marker=mark, hoverinfo="skip"), 1, 1)
    counts = blocks(live)
    figure.add_trace(
        go.Bar(
            x=counts,
            y=list(range(len(counts))),
            orientation="h",
            marker={"color": theme.PALETTE[5], "line": {"width": 0}},
            text=[f"{c:,}" if c else "" for c in counts],
            textposition="outside",
            textfont={"size": 11},
            cliponaxis=False,
            hovertemplate="block %{y}: %{x:,} steps<extra></extra>",
        ),
        1,
        2,
    )
    _heat_axes(figure, number, int(counts.max(initial=1)))
    return figure


def _heat_axes(figure: go.Figure, number: int, most: int) -> None:
    height = int(np.clip(22 * number, 90, 380)) + 56
    title = "Sensitivity S by block and step; marked: the block that moved, and how often"
    figure.update_layout(**_layout(title, height, bargap=0.45))
    figure.update_layout(hovermode="closest")
    every = max(number // 12, 1)
    figure.update_yaxes(
        tickvals=list(range(0, number, every)),
        ticktext=[f"block {b}" for b in range(0, number, every)],
        range=[-0.5, number - 0.5],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(showticklabels=False, fixedrange=True, col=2)
    figure.update_xaxes(fixedrange=True, showgrid=False, zeroline=False)
    figure.update_xaxes(visible=False, range=[0, most * 1.55], col=2)


def _colour_bar(z: np.ndarray) -> dict[str, Any]:
    """Ticks at whole powers of ten, or at both ends where there are none between."""
    told = z[np.isfinite(z)]
    if not len(told):
        return {"thickness": 8}
    low, high = float(told.min()), float(told.max())
    powers = np.arange(np.ceil(low), np.floor(high) + 1)
    step = max(len(powers) // 5, 1)
    ticks = powers[::step].tolist() if len(powers) > 1 else [low, high]
    words = [f"10<sup>{int(t)}</sup>" if len(powers) > 1 else theme.number(10**t) for t in ticks]
    bar = {"thickness": 8, "outlinewidth": 0, "tickvals": ticks, "ticktext": words, "tickfont": {"size": 11}}
    return {**bar, "x": 1.0, "xpad": 4, "len": 1.0}
