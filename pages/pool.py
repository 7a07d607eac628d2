"""Pool: what the current pool holds, and bringing a new one in."""

from __future__ import annotations

import streamlit as st

from ui import guards, pool_views, state

ws = state.workspace()
st.title("Pool")

with guards.sentences():
    current = state.current_pool(ws)
    look, bring = st.tabs(["Look", "Import"], default="Look" if current else "Import", key="pool.tab")
    with look:
        if current is None:
            st.info("There is no pool yet. Import a file on the other tab: csv, jsonl, jsonl.gz or parquet.")
        else:
            pool_views.provenance(ws, current)
            pool_views.numbers(ws, current)
            pool_views.shares(ws, current)
            pool_views.rows(ws, current)
    with bring:
        pool_views.import_form(ws)
