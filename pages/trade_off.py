"""Trade-off: what the repairs bought (toxicity reduction) and what they cost (perplexity increase)."""

from __future__ import annotations

import streamlit as st

from core import pipeline
from ui import guards, state, trade_off_views

ws = state.workspace()
st.title("Trade-off")

with guards.sentences():
    name = state.current_pool(ws)
    if name is None:
        guards.empty("There is no pool yet, so nothing was repaired.", "pool", "Import a pool")
    groups = pipeline.trade_off(ws, str(name))
    if not groups:
        guards.empty(
            f"No measured repair of {name} yet: each becomes a point here; up-right is better.",
            "repair",
            "Start a repair",
        )
    group = trade_off_views.pick_group(groups)
    trade_off_views.provenance(group)
    trade_off_views.chart(ws, group)
    st.subheader("Every run")
    trade_off_views.run_table(group)
    trade_off_views.composite_table(ws, group)
