"""The views of the Trade-off page, of which only the chosen one computes."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ui import study_claims, study_curves, study_scores, trade_off_pairs, trade_off_plane
from ui.study_data import Compared

VIEWS: dict[str, Callable[[Compared], None]] = {
    "Plane": trade_off_plane.view,
    "Budget curves": study_curves.view,
    "Two runs": trade_off_pairs.view,
    "Scores": study_scores.view,
    "Claims": study_claims.view,
}


def show(of: Compared) -> None:
    """The chosen view."""
    view = st.segmented_control(
        "View",
        list(VIEWS),
        default=next(iter(VIEWS)),
        required=True,
        key="trade.view",
        label_visibility="collapsed",
        persist_state="session",
    )
    VIEWS[str(view)](of)
