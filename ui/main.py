"""Navigation and page setup: runs before every page, nothing else."""

from __future__ import annotations

import streamlit as st

from core.workspace.store import PROJECT
from ui import sidebar, state

PAGES = {
    "": [st.Page("../pages/overview.py", title="Overview", icon=":material/home:", default=True)],
    "Explore": [
        st.Page("../pages/pool.py", title="Pool", icon=":material/table_rows:"),
        st.Page("../pages/map.py", title="Map", icon=":material/bubble_chart:"),
    ],
    "Choose": [st.Page("../pages/selection.py", title="Selection", icon=":material/tune:")],
    "Repair": [
        st.Page("../pages/repair.py", title="Repair", icon=":material/build:"),
        st.Page("../pages/trade_off.py", title="Trade-off", icon=":material/show_chart:"),
    ],
}

MARK = str(PROJECT / "assets" / "logo-mark.svg")
st.set_page_config(page_title="Winnow", page_icon=MARK, layout="wide", initial_sidebar_state=236)
st.logo(str(PROJECT / "assets" / "logo.svg"), size="large", icon_image=MARK)
page = st.navigation(PAGES, expanded=True)
sidebar.draw(state.workspace())
page.run()
