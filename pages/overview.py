"""Overview: what Winnow is, and how far this workspace has come on the way from a pool to a result."""

from __future__ import annotations

import streamlit as st

from ui import guards, overview_views, state

ws = state.workspace()
st.title("Winnow")
st.markdown(
    "Chooses the few training examples that repair a language model, "
    "and shows what the repair bought and what it cost."
)

with guards.sentences():
    name = state.current_pool(ws)
    pool = None if name is None else state.read_pool(ws, name)
    overview_views.flow(ws, pool)
    if pool is not None:
        overview_views.pictures(ws, pool)
