"""The map as far as it stands while its texts are still being embedded."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from core.pipeline import SignalRequest
from core.pipeline.preview import find_preview
from core.values import Pool
from core.workspace import Workspace
from ui import colours, figures, job_panel, theme

EVERY = 5  # seconds between looks
HEIGHT = 520


def show(ws: Workspace, pool: Pool, request: SignalRequest) -> None:
    """Draw what is placed so far of the map asked for, and look again, while a job makes it."""
    if job_panel.active(ws, "signal", request.model_dump(mode="json")) is not None:
        st.fragment(partial(_draw, ws, pool, request), run_every=EVERY, key="map.preview")()


def _draw(ws: Workspace, pool: Pool, request: SignalRequest) -> None:
    xy = find_preview(ws, request, pool)
    if xy is None:
        return
    rows = np.flatnonzero(np.isfinite(xy).all(axis=1))
    st.markdown(f"Preview: {len(rows):,} of {len(pool):,} rows placed")
    colouring = colours.by_category(*pool.categories())
    st.plotly_chart(
        figures.map_figure(xy, colouring, rows, rows[:0], height=HEIGHT, legend=True),
        key="map.preview.chart",
        config=theme.CONFIG,
        alt=f"Preview of the map: {len(rows):,} rows of {pool.name}, coloured by category",
    )
