"""The budget: in percent, rows or tokens; a slider for the hand, and a box for the exact number."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import pipeline
from core.values import Budget, Pool, Recipe, Rows
from core.workspace import Workspace
from ui import state

UNIT = "selection.unit"
PERCENT, ROWS, TOKENS = (f"selection.{unit}" for unit in ("percent", "rows", "tokens"))
LAST = "selection.unit.last"
START = 10.0  # percent
FEWEST = 0.5  # percent, at the left end of the slider
WITHOUT_COUNT = 10_000  # tokens to start from where they were not counted yet


def draw(ws: Workspace, pool: Pool, eligible: Rows) -> Budget:
    """The unit, the slider, and what it means in rows."""
    state.seed(UNIT, "percent")
    unit = str(
        st.segmented_control(
            "Budget", ["percent", "rows", "tokens"], required=True, key=UNIT, persist_state="session"
        )
    )
    _carry_over(unit, len(eligible))
    if unit == "rows":
        return _rows(len(eligible))
    return _tokens(ws, pool, eligible) if unit == "tokens" else _percent(len(eligible))


def fill(budget: Budget) -> None:
    """Set the widgets to the budget; for callbacks."""
    for key, value in ((PERCENT, budget.percent), (ROWS, budget.rows), (TOKENS, budget.tokens)):
        if value is not None:
            st.session_state[UNIT] = st.session_state[LAST] = key.rpartition(".")[2]
            st.session_state[key] = value


def suit(eligible: int) -> None:
    """No more rows than there are."""
    if st.session_state.get(ROWS, 0) > eligible > 0:
        st.session_state[ROWS] = eligible


def _carry_over(unit: str, eligible: int) -> None:
    """A change from percent to rows or back asks for as many rows as before."""
    before = st.session_state.get(LAST)
    st.session_state[LAST] = unit
    if (before, unit) == ("percent", "rows"):
        st.session_state[ROWS] = Budget(rows=None, percent=st.session_state[PERCENT]).count(eligible)
    elif (before, unit) == ("rows", "percent"):
        st.session_state[PERCENT] = round(100 * st.session_state[ROWS] / eligible, 2)


def _percent(eligible: int) -> Budget:
    value, said = _slider("Percent of the eligible rows", PERCENT, FEWEST, 100.0, START, 0.5)
    budget = Budget(rows=None, percent=float(value))
    said.caption(f"% = {budget.count(eligible):,} of {eligible:,} rows")
    return budget


def _rows(eligible: int) -> Budget:
    start = min(max(eligible // 10, 1), eligible)
    rows, said = _slider("Rows", ROWS, 1, max(eligible, 2), start, 1)
    said.caption(f"rows of {eligible:,} ({100 * rows / eligible:.3g} %)")
    return Budget(rows=int(rows), percent=None)


def _tokens(ws: Workspace, pool: Pool, eligible: Rows) -> Budget:
    """Where the tokens are counted, a slider up to all of them; else a number, counted when it is asked."""
    kept = st.session_state
    asked = Recipe(  # of which only the sides that the method trains on, and the tokenizer, are looked at
        pool=pool.name,
        strategy="uniform",
        method=kept.get("selection.method", Recipe.model_fields["method"].default),
        model=kept.get("selection.model", ""),
    )
    counted = pipeline.find_signal(ws, pipeline.request_for("tokens", pool.name, recipe=asked), pool)
    if counted is None:
        state.seed(TOKENS, WITHOUT_COUNT)
        box = st.number_input("Tokens", 0, step=1000, key=TOKENS, persist_state="session")
        return Budget(rows=None, percent=None, tokens=int(box))
    total = int(np.nansum(np.asarray(counted.array())[eligible]))
    tokens, said = _slider("Tokens", TOKENS, 1, max(total, 2), max(total // 10, 1), max(total // 1000, 1))
    said.caption(f"tokens of {total:,} ({100 * tokens / max(total, 1):.3g} %)")
    return Budget(rows=None, percent=None, tokens=int(tokens))


def _slider(
    label: str, key: str, low: float, high: float, start: float, step: float
) -> tuple[float, DeltaGenerator]:
    """A slider, a box that sets it to an exact number, and the place beside the box for what that means.

    A recipe's odd value widens the bounds. The box shows the number in grey and holds none: were it set from
    here, a browser that moves the slider again before it has heard of that would send the old one as typed.
    """
    state.seed(key, start)
    held = st.session_state[key]
    bounds = (min(low, held), max(high, held))
    if st.session_state.get(f"{key}.bounds") != bounds:  # another slider to Streamlit: it would begin anew
        st.session_state[key] = held
        st.session_state[f"{key}.bounds"] = bounds
    form: Any = {"step": step, "format": "%g" if isinstance(start, float) else "%d"}
    st.slider(label, *bounds, key=key, label_visibility="collapsed", persist_state="session", **form)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.number_input(
            f"{label}, exactly",
            *bounds,
            None,
            key=f"{key}.typed",
            placeholder=f"{held:g}" if isinstance(held, float) else f"{held:,}",
            on_change=_type,
            args=(key,),
            label_visibility="collapsed",
            width=104,
            **form,
        )
        said = st.container(width="stretch")
    return held, said


def _type(key: str) -> None:
    """Set the slider to what was typed, and empty the box again."""
    typed = st.session_state[f"{key}.typed"]
    if typed is not None:
        st.session_state[key] = typed
        st.session_state[f"{key}.typed"] = None
