"""Settings that are tables: a weight for each of some scores by slider, a number of rows for each label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.scoring import SCORES
from ui import state, tables
from ui.guards import plain

Labels = Mapping[str, Sequence[str]]  # what a table counts by ("category", ...) -> the labels there are

IN_SIGHT = 7  # lines of a table before it scrolls
NEW = 0.5  # weight of a score just added


@dataclass(frozen=True)
class TableForm:
    """How one kind of table is drawn, and set from outside before it is drawn."""

    draw: Callable[[str, str, dict[str, float], str, Sequence[str]], dict[str, float]]
    fill: Callable[[str, Mapping[str, float]], None]


def scores() -> list[str]:
    """Names of all registered scores, by title; what counts tokens for a budget is among them."""
    return sorted(SCORES, key=lambda name: SCORES[name].title.lower())


def score_title(name: str) -> str:
    """The score's title, or the name as it stands where it is not registered."""
    return SCORES[name].title if name in list(SCORES) else name


def _weights(
    label: str, key: str, default: dict[str, float], words: str, rows: Sequence[str]
) -> dict[str, float]:
    """Scores to choose, and a slider from -1 to 1 for each of those chosen."""
    state.seed(key, list(default))
    held = [name for name in st.session_state[key] if name not in scores()]
    chosen = st.multiselect(
        label,
        scores() + held,
        key=key,
        help=words,
        format_func=score_title,
        placeholder="Add a score",
        persist_state="session",
    )
    found = {}
    for name in chosen:
        state.seed(f"{key}.{name}", default.get(name, NEW))
        known = name in list(SCORES)
        found[name] = st.slider(
            score_title(name),
            -1.0,
            1.0,
            step=0.05,
            key=f"{key}.{name}",
            help=f"{SCORES[name].direction}; below 0 prefers low values." if known else None,
            persist_state="session",
        )
    return found


def _fill_weights(key: str, values: Mapping[str, float]) -> None:
    st.session_state[key] = list(values)
    for name, value in values.items():
        st.session_state[f"{key}.{name}"] = float(value)


def _table(
    label: str, key: str, default: dict[str, float], words: str, rows: Sequence[str]
) -> dict[str, float]:
    """A line per label with a number that may stay empty; labels of a recipe from elsewhere stay in sight.

    The editor sends what was changed since it was first drawn, so what it started from is kept beside it; it
    forgets on another page, so what it held last is kept too.
    """
    editor = f"{key}.editor.{st.session_state.get(f'{key}.turn', 0)}"
    if editor not in st.session_state:
        st.session_state[f"{key}.start"] = st.session_state.get(f"{key}.held", dict(default))
    start: dict[str, float] = st.session_state[f"{key}.start"]
    names = [*rows, *(name for name in start if name not in rows)]
    st.caption(plain(label), help=words)
    if not names:
        st.caption("This pool has no such labels.")
        return {}
    frame = pd.DataFrame({"label": names, "value": [start.get(name) for name in names]})
    column = st.column_config
    edited = st.data_editor(
        frame.astype({"value": "float64"}),
        key=editor,
        hide_index=True,
        placeholder="",
        disabled=["label"],
        height=tables.height(len(names), IN_SIGHT),
        column_config={
            "label": column.TextColumn("label"),
            "value": column.NumberColumn("rows", min_value=0, format="%g", width="small"),
        },
        alt=f"{label}: a number for each of {len(names)} labels",
    )
    filled = edited.dropna(subset=["value"])
    found = {str(n): float(v) for n, v in zip(filled["label"], filled["value"], strict=True)}
    st.session_state[f"{key}.held"] = found
    return found


def _fill_table(key: str, values: Mapping[str, float]) -> None:
    st.session_state[f"{key}.held"] = dict(values)
    st.session_state[f"{key}.turn"] = st.session_state.get(f"{key}.turn", 0) + 1


FORMS: dict[str, TableForm] = {
    "weights": TableForm(_weights, _fill_weights),
    "table": TableForm(_table, _fill_table),
}
