"""The look of every figure: palette, greys and ring by theme, number formats; colour belongs to data only."""

from __future__ import annotations

from typing import Any

import streamlit as st

# Okabe-Ito without black, plus a brown: apart under the three common colour deficiencies (CIE distance 14).
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C564B", "#E8D500")
TOXICITY = ("#5B7DB1", "#8FA8CC", "#C9CFD6", "#F0C987", "#E08A3C", "#C4420F")  # never red to green
GREYS = {
    "light": {
        "other": "#A9B3B0",
        "none": "#D5DBD9",
        "ring": "#111A1C",
        "accent": "#0F766E",
        "text": "#1B2528",
        "ground": "#FFFFFF",
        "panel": "#EEF2F1",
    },
    "dark": {
        "other": "#6E7B80",
        "none": "#3D494E",
        "ring": "#FFFFFF",
        "accent": "#2DD4BF",
        "text": "#E6ECEA",
        "ground": "#11181A",
        "panel": "#1A2326",
    },
}
CONFIG = {"showSendToCloud": False, "displaylogo": False, "scrollZoom": True}


def kind() -> str:
    """How the browser shows the app: light or dark."""
    return "dark" if st.context.theme.type == "dark" else "light"


def grey(name: str) -> str:
    """A named neutral of the current theme: other, none, ring, accent, text, ground or panel."""
    return GREYS[kind()][name]


def layout(height: int, **more: Any) -> dict[str, Any]:
    """Margins and a transparent ground, shared by all figures."""
    return {
        "height": height,
        "margin": {"l": 4, "r": 4, "t": 8, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "font": {"size": 13},
        "modebar": {"bgcolor": "rgba(0,0,0,0)"},
        **more,
    }


def legend(**more: Any) -> dict[str, Any]:
    """A horizontal legend above the plot."""
    place = {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}}
    return {"showlegend": True, "legend": place | more}


def short(text: str, length: int = 26) -> str:
    """The text cut to a label's length; angle brackets made harmless, as Plotly reads some html."""
    cut = text if len(text) <= length else text[: length - 1].rstrip() + "…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def number(value: float | None, digits: int = 3) -> str:
    """Two to three significant digits, thousands separated; "n/a" for what is not there."""
    if value is None or value != value:
        return "n/a"
    if float(value).is_integer() and abs(value) >= 1:
        return f"{int(value):,}"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if abs(value) >= 10**digits else f"{float(text):g}" if "e" in text else text
