"""Selection: a strategy, its settings and a budget choose rows; what they are, against the pool."""

from __future__ import annotations

import streamlit as st

from core.pipeline import NotReady
from ui import guards, needs, selection_views, state

ws = state.workspace()
st.title("Selection")

with guards.sentences():
    name = state.current_pool(ws)
    if name is None:
        guards.empty("A selection takes rows of a pool; there is none yet.", "pool", "Import a pool")
    pool = state.read_pool(ws, str(name))
    st.caption(guards.plain(f"Which rows of {pool.name} ({len(pool):,} rows) to repair a model with"))
    inputs, result = st.columns([3, 7], gap="medium")
    with inputs:
        recipe = selection_views.recipe_form(ws, pool)
    with result:
        try:
            found = selection_views.choose(ws, pool, recipe)
        except NotReady as missing:
            needs.offer(ws, missing.requests, key="selection.needs")
            st.stop()
        state.choose(found)
        selection_views.numbers(ws, pool, found)
        selection_views.keep(ws, found)
        selection_views.picture(ws, pool, found)
