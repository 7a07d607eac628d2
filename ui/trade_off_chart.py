"""The trade-off plane: detoxification up, loss of utility drawn reversed, so that up-right is better."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go

from core.pipeline.study_numbers import FULL
from core.values import Measure
from ui import theme
from ui.study_looks import OTHER, SYMBOLS, Looks
from ui.trade_off_marks import Axes, Dot, Mark

SMALL, LARGE = 10.0, 18.0  # pixels of a mean's mark, from the smallest budget to the largest
HEIGHT = 450


def plane_figure(
    marks: Sequence[Mark],
    stairs: Sequence[tuple[float, float]],
    looks: Looks,
    axes: Axes,
    *,
    chosen: str = "",
    reference: tuple[float, float] | None = None,
) -> go.Figure:
    """Seeds as small dots, means as large marks that grow with the budget, a ring around the run `chosen`.

    stairs: (loss, gain) of the means that no other beats, the base model among them, by rising loss;
    reference: (loss, gain) of the corner that the hypervolume counts from.
    """
    figure = go.Figure()
    _front(figure, stairs, reference)
    _paths(figure, marks, looks)
    sizes = _sizes(marks)
    for mark in marks:
        colour, symbol = looks.colour(mark.paint), looks.symbol(mark.method)
        if len(mark.dots) > 1:
            _add(figure, mark.dots, 7, colour, symbol, axes, opacity=0.6)
        _add(figure, [mark.mean], sizes[mark.rows], colour, symbol, axes, mean=True)
    _base(figure)
    _ring(figure, marks, chosen)
    _legend(figure, marks, looks)
    _better(figure)
    _axes(figure, marks, axes)
    return figure


def _axes(figure: go.Figure, marks: Sequence[Mark], axes: Axes) -> None:
    side = {"zeroline": True, "zerolinecolor": theme.grey("other"), "zerolinewidth": 1}
    figure.update_layout(
        **theme.layout(
            HEIGHT,
            margin={"l": 8, "r": 12, "t": 8, "b": 8},
            hovermode="closest",
            dragmode="pan",
            xaxis={
                **side,
                "title": {"text": f"{axes.loss} (reversed)"},
                "autorange": "reversed",
                "ticksuffix": f" {axes.loss_unit}",
            },
            yaxis={**side, "title": {"text": axes.gain}, "ticksuffix": f" {axes.gain_unit}"},
        )
    )
    figure.update_layout(**theme.legend(itemsizing="constant", traceorder="normal"))


def _sizes(marks: Sequence[Mark]) -> dict[int, float]:
    """Rows -> pixels, by rank: budgets of 1 % and 100 % both stay readable."""
    rows = sorted({m.rows for m in marks})
    step = (LARGE - SMALL) / max(len(rows) - 1, 1)
    return {n: SMALL + step * i if len(rows) > 1 else (SMALL + LARGE) / 2 for i, n in enumerate(rows)}


def _error(measures: Sequence[Measure], colour: str) -> dict[str, object]:
    """Error bars from the value to its bounds, without caps: readers take a hard edge for a limit."""
    ends = [(m.value or 0.0, m.low, m.high) for m in measures]
    return {
        "type": "data",
        "symmetric": False,
        "array": [0.0 if high is None else max(high - value, 0) for value, _, high in ends],
        "arrayminus": [0.0 if low is None else max(value - low, 0) for value, low, _ in ends],
        "width": 0,
        "thickness": 1.2,
        "color": colour,
    }


def _add(
    figure: go.Figure,
    dots: Sequence[Dot],
    size: float,
    colour: str,
    symbol: str,
    axes: Axes,
    *,
    opacity: float = 1.0,
    mean: bool = False,
) -> None:
    shown = [d for d in dots if d.drawn]
    edge = {"width": 1.2, "color": theme.grey("ground")} if mean else {"width": 0}
    errors = {
        "error_x": _error([d.loss for d in shown], colour),
        "error_y": _error([d.gain for d in shown], colour),
    }
    figure.add_trace(
        go.Scatter(
            x=[d.loss.value for d in shown],
            y=[d.gain.value for d in shown],
            mode="markers",
            marker={"size": size, "color": colour, "symbol": symbol, "line": edge, "opacity": opacity},
            unselected={"marker": {"opacity": opacity}},
            customdata=[d.run for d in shown],
            text=[theme.short(d.label, 60) for d in shown],
            hovertemplate=f"%{{text}}<br>{theme.short(axes.gain, 60)} %{{y:.3g}} {axes.gain_unit}<br>"
            f"{theme.short(axes.loss, 60)} %{{x:+.3g}} {axes.loss_unit}<extra></extra>",
            showlegend=False,
            **(errors if mean else {}),
        )
    )


def _paths(figure: go.Figure, marks: Sequence[Mark], looks: Looks) -> None:
    """A thin line from budget to budget of each strategy and method."""
    groups: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks:
        if not mark.full and mark.mean.drawn:
            groups.setdefault((mark.strategy, mark.method), []).append(mark)
    for (strategy, _), members in groups.items():
        path = sorted(members, key=lambda m: m.rows)
        if len(path) > 1:
            figure.add_trace(
                go.Scatter(
                    x=[m.mean.loss.value for m in path],
                    y=[m.mean.gain.value for m in path],
                    mode="lines",
                    line={"width": 1, "color": looks.colour(strategy)},
                    opacity=0.5,
                    hoverinfo="skip",
                    showlegend=False,
                )
            )


def _base(figure: go.Figure) -> None:
    figure.add_trace(
        go.Scatter(
            x=[0],
            y=[0],
            mode="markers+text",
            text=["base model"],
            textposition="bottom left",
            marker={"size": 13, "color": theme.grey("text"), "symbol": "x"},
            hovertemplate="base model: 0 by definition<extra></extra>",
            unselected={"marker": {"opacity": 1}},
            showlegend=False,
        )
    )


def _front(
    figure: go.Figure, stairs: Sequence[tuple[float, float]], reference: tuple[float, float] | None
) -> None:
    """The staircase of the means that no other beats; the area it rules, up to the reference, is shaded."""
    if not stairs:
        return
    x, y = [s[0] for s in stairs], [s[1] for s in stairs]
    if reference is not None:
        corners = _steps([*stairs, (reference[0], stairs[-1][1])])
        area = [*corners, (reference[0], reference[1]), (stairs[0][0], reference[1])]
        figure.add_trace(
            go.Scatter(
                x=[p[0] for p in area],
                y=[p[1] for p in area],
                fill="toself",
                mode="none",
                fillcolor=_faint(theme.grey("accent")),
                hoverinfo="skip",
                showlegend=False,
            )
        )
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            line={"shape": "hv", "width": 1.5, "dash": "dot", "color": theme.grey("accent")},
            name="Pareto front of the means",
            hoverinfo="skip",
        )
    )


def _steps(stairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the staircase: first along the loss, then up."""
    out = [stairs[0]]
    for (_, before), (loss, gain) in pairwise(stairs):
        out += [(loss, before), (loss, gain)]
    return out


def _faint(colour: str) -> str:
    """The colour, nearly transparent."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.07)"


def _ring(figure: go.Figure, marks: Sequence[Mark], chosen: str) -> None:
    """The mark of a selection, the same as on the map: a ring around the dot."""
    dots = [d for m in marks for d in m.dots if d.run == chosen and d.drawn]
    figure.add_trace(
        go.Scatter(
            x=[d.loss.value for d in dots],
            y=[d.gain.value for d in dots],
            mode="markers",
            marker={"size": 20, "symbol": "circle-open", "color": theme.grey("ring"), "line": {"width": 1.8}},
            unselected={"marker": {"opacity": 1}},
            hoverinfo="skip",
            showlegend=False,
        )
    )


def _legend(figure: go.Figure, marks: Sequence[Mark], looks: Looks) -> None:
    """Colours by strategy, then shapes by method; beyond the eighth all are "other"."""
    paints = list(dict.fromkeys(m.paint for m in marks))
    methods = list(dict.fromkeys(m.method for m in marks))
    for name in [p for p in paints if p == FULL or looks.strategies.get(p, -1) >= 0]:
        _entry(figure, name, looks.colour(name), SYMBOLS[0])
    others = [p for p in paints if p != FULL and looks.strategies.get(p, -1) < 0]
    if others:
        _entry(figure, f"other ({len(others)})", theme.grey("other"), SYMBOLS[0])
    for name in [m for m in methods if looks.methods.get(m, -1) >= 0]:
        _entry(figure, name, theme.grey("other"), looks.symbol(name))
    rest = [m for m in methods if looks.methods.get(m, -1) < 0]
    if rest:
        _entry(figure, f"other ({len(rest)})", theme.grey("other"), OTHER)


def _entry(figure: go.Figure, name: str, colour: str, symbol: str) -> None:
    dot = {"color": colour, "size": 10, "symbol": symbol}
    figure.add_trace(go.Scatter(x=[None], y=[None], mode="markers", marker=dot, name=theme.short(name, 34)))


def _better(figure: go.Figure) -> None:
    """Which way is better, in the corner where the worst points would lie."""
    colour = theme.grey("accent")
    place = {"xref": "paper", "yref": "paper", "x": 0.12, "y": 0.2, "ax": -44, "ay": 40}
    look = {
        "arrowhead": 2,
        "arrowwidth": 2,
        "arrowcolor": colour,
        "font": {"color": colour},
        "bgcolor": theme.grey("ground"),
    }
    figure.add_annotation(text="better", showarrow=True, **place, **look)
