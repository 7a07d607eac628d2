"""Repair: train a model on a selection, watch it, stop it; it goes on when this page is closed."""

from __future__ import annotations

import streamlit as st

from ui import density_view, guards, repair_form, repair_views, state

ws = state.workspace()
st.title("Repair")

with guards.sentences():
    name = state.current_pool(ws)
    if name is None:
        guards.empty("A repair learns from rows of a pool; there is none yet.", "pool", "Import a pool")
    pool = state.read_pool(ws, str(name))
    st.caption(
        "Each run trains a copy of the model in a process of its own, then measures what it bought and cost"
    )
    inputs, live = st.columns([4, 7], gap="large")
    with inputs:
        repair_form.form(ws, pool)
    with live:
        repair_views.jobs(ws)
    density_view.show(ws, pool)
    repair_views.finished(ws, pool)
