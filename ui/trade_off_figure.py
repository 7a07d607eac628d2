"""The trade-off plane: toxicity reduction up, perplexity increase drawn reversed: up-right is better."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from core.evaluation import TradePoint, pareto_front
from core.pipeline.arms import Arm
from core.values import Measure
from ui import theme

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down")


def trade_off_figure(arms: Sequence[Arm], *, text: str, height: int = 470) -> go.Figure:
    """Seeds as faint dots with 95 % intervals, an arm's mean as a large mark, the staircase of means."""
    figure = go.Figure()
    methods = list(dict.fromkeys(a.method for a in arms))
    strategies = list(dict.fromkeys("all rows" if a.full else a.strategy for a in arms))
    for arm in arms:
        colour = theme.PALETTE[methods.index(arm.method) % len(theme.PALETTE)]
        symbol = SYMBOLS[strategies.index("all rows" if arm.full else arm.strategy) % len(SYMBOLS)]
        _seeds(figure, arm, colour, symbol)
        _mean(figure, arm, colour, symbol)
    _base(figure)
    _front(figure, arms)
    _arrow(figure)
    figure.update_layout(
        **theme.layout(
            height,
            margin={"l": 8, "r": 12, "t": 8, "b": 8},
            hovermode="closest",
            xaxis={
                "title": {"text": f"Perplexity increase on {theme.short(text)}, % of base (reversed)"},
                "autorange": "reversed",
                "ticksuffix": " %",
                "zeroline": True,
            },
            yaxis={"title": {"text": "Toxicity reduction, % of base"}, "ticksuffix": " %", "zeroline": True},
        )
    )
    figure.update_layout(**theme.legend(itemsizing="constant"))
    return figure


def _at(points: Sequence[TradePoint]) -> tuple[list[float], list[float]]:
    return [100 * float(p.ppl_increase.value or 0) for p in points], [
        100 * float(p.reduction.value or 0) for p in points
    ]


def _bars(measures: Sequence[Measure], colour: str) -> dict[str, object]:
    """Error bars from the value to its bounds, without caps: readers take a hard edge for a limit."""
    up = [100 * ((m.high if m.high is not None else m.value or 0) - (m.value or 0)) for m in measures]
    down = [100 * ((m.value or 0) - (m.low if m.low is not None else m.value or 0)) for m in measures]
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "width": 0,
        "thickness": 1.4,
        "color": colour,
    }


def _known(point: TradePoint) -> bool:
    return point.reduction.value is not None and point.ppl_increase.value is not None


def _seeds(figure: go.Figure, arm: Arm, colour: str, symbol: str) -> None:
    drawn = [(r, p) for r, p in zip(arm.runs, arm.points, strict=True) if _known(p)]
    points = [p for _, p in drawn]
    x, y = _at(points)
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="markers",
            marker={"size": 7, "color": colour, "symbol": symbol},
            opacity=0.6,
            error_x=_bars([p.ppl_increase for p in points], colour),
            error_y=_bars([p.reduction for p in points], colour),
            text=[theme.short(r.label, 60) for r, _ in drawn],
            hovertemplate="%{text}<br>reduction %{y:.1f} %, perplexity %{x:+.1f} %<extra></extra>",
            showlegend=False,
        )
    )


def _mean(figure: go.Figure, arm: Arm, colour: str, symbol: str) -> None:
    mean = arm.mean
    if mean is None:
        return
    x, y = _at([mean])
    seeds = f"n = {arm.seeds} seed{'s' if arm.seeds > 1 else ''}"
    figure.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="markers",
            name=f"{theme.short(arm.label, 40)} ({seeds})",
            marker={
                "size": 14,
                "color": colour,
                "symbol": symbol,
                "line": {"width": 1.5, "color": theme.grey("ring")},
            },
            hovertemplate=f"{theme.short(arm.label, 60)}, mean of {seeds}<br>reduction %{{y:.1f}} %, "
            "perplexity %{x:+.1f} %<extra></extra>",
        )
    )


def _base(figure: go.Figure) -> None:
    figure.add_trace(
        go.Scatter(
            x=[0],
            y=[0],
            mode="markers+text",
            text=["base model"],
            textposition="top left",
            marker={"size": 13, "color": theme.grey("text"), "symbol": "x"},
            hovertemplate="base model: 0 by definition<extra></extra>",
            showlegend=False,
        )
    )


def _front(figure: go.Figure, arms: Sequence[Arm]) -> None:
    """The staircase through the means that no other mean beats on both axes, the base model included."""
    zero = Measure(value=0.0)
    base = TradePoint(
        label="base", reduction=zero, ppl_increase=zero, toxicity=zero, perplexity=zero, is_base=True
    )
    means = [base, *(m for a in arms if (m := a.mean) is not None)]
    x, y = _at([means[i] for i in pareto_front(means)])
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


def _arrow(figure: go.Figure) -> None:
    """Which way is better, in the corner where the worst points would lie."""
    colour = theme.grey("accent")
    place = {"xref": "paper", "yref": "paper", "x": 0.16, "y": 0.24, "ax": -44, "ay": 40}
    look = {"arrowhead": 2, "arrowwidth": 2, "arrowcolor": colour, "font": {"color": colour}}
    figure.add_annotation(text="better", showarrow=True, **place, **look)


def numbers(arms: Sequence[Arm]) -> pd.DataFrame:
    """Every plotted point with its bounds, in percent of the base model's value."""
    rows = []
    for arm in arms:
        for run, p in zip(arm.runs, arm.points, strict=True):
            rows.append({"arm": arm.label, "seed": run.manifest.spec.seed, "run": run.id} | _columns(p))
    return pd.DataFrame(rows)


def _columns(point: TradePoint) -> dict[str, float | None]:
    out: dict[str, float | None] = {}
    for name, m in (("toxicity reduction %", point.reduction), ("perplexity increase %", point.ppl_increase)):
        for part, value in (("", m.value), (" low", m.low), (" high", m.high)):
            out[f"{name}{part}"] = None if value is None else round(100 * value, 3)
    return out
