"""Entry point (`streamlit run app.py`): the page script lives in ui/, out of the way of `pages/`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

from core.jobs import ensure_supervisor
from core.workspace import Workspace


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[dict[str, Any]]:
    """Start the job supervisor, or find the one that runs already; it outlives this app on purpose."""
    ensure_supervisor(Workspace.open())
    yield {}


app = st.App("ui/main.py", lifespan=lifespan)
