"""Trade-off: what the repairs of a study bought (less toxicity) and what they cost (utility)."""

from __future__ import annotations

import streamlit as st

from ui import guards, state, study_data, study_views, trade_off_views

ws = state.workspace()
st.title("Trade-off")

with guards.sentences():
    name = state.current_pool(ws)
    if name is None:
        guards.empty("There is no pool yet, so nothing was repaired.", "pool", "Import a pool")
    spec, found = study_views.choose(ws, str(name))
    groups = study_views.groups(ws, str(name), found)
    if not groups:
        guards.empty(
            f"No measured repair of {spec.name if spec else name} yet: each becomes a point here; "
            "up-right is better.",
            "repair",
            "Start a repair",
        )
    group = study_views.pick_group(groups)
    study_views.provenance(group, spec)
    trade_off_views.show(study_data.compared(ws, spec, group, found))
