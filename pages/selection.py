"""Selection: a workbench that chooses rows by hand-tuned recipes, compares and explains them."""

from __future__ import annotations

import streamlit as st

from ui import guards, state, workbench

ws = state.workspace()
head = st.container(
    horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="selection.head"
)
left = head.container(horizontal=True, vertical_alignment="center", width="content", gap="medium")
left.title("Selection", width="content")

with guards.sentences():
    name = state.current_pool(ws)
    if name is None:
        guards.empty("A selection takes rows of a pool; there is none yet.", "pool", "Import a pool")
    pool = state.read_pool(ws, str(name))
    with left:
        view = workbench.views(pool)
    if view == "Tune":
        workbench.tune(ws, pool, head)
    elif view == "Compare":
        workbench.compare(ws, pool)
    else:
        workbench.recipes(ws, pool)
