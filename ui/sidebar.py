"""What stands beside every page: the current pool, the reveal switch, how many jobs run."""

from __future__ import annotations

import streamlit as st

from core.workspace import Workspace
from ui import jobs_view, state
from ui.guards import sentences


def draw(ws: Workspace) -> None:
    """Draw the sidebar; its widgets keep their values on every page."""
    with st.sidebar, sentences():
        _pool(ws)
        st.toggle(
            "Reveal text",
            key=state.REVEAL,
            help="Words of rows not known to be benign are cut to their first letter. Turn on to read them, "
            "in this browser tab only; downloads follow.",
            persist_state="session",
        )
        jobs_view.summary(ws)


def _pool(ws: Workspace) -> None:
    """The pool that all pages speak of; its name stands in the address, so that a link shows the same."""
    names = state.pool_names(ws)
    if not names:
        return
    wanted = st.session_state.pop("next_pool", None)
    if wanted in names:
        st.session_state[state.POOL] = wanted
    st.selectbox("Pool", names, key=state.POOL, bind="query-params")
