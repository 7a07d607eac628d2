"""Map: the pool as a picture; box and lasso choose rows, a table shows them."""

from __future__ import annotations

import streamlit as st

from ui import guards, map_views, state

ws = state.workspace()
st.title("Map")

with guards.sentences():
    name = state.current_pool(ws)
    if name is None:
        guards.empty("The map draws a pool; there is none yet.", "pool", "Import a pool")
    else:
        pool = state.read_pool(ws, name)
        position = map_views.position(ws, pool)
        map_views.provenance(ws, pool, position)
        map_views.explore(ws, pool, position)
