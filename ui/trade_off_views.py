"""The views of the Trade-off page, of which only the chosen one computes; and arms for the first screen."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import pipeline
from core.evaluation import TradePoint
from core.pipeline import TradeGroup
from core.pipeline.arms import Arm, arms
from core.workspace import Workspace
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


def group_arms(ws: Workspace, group: TradeGroup, text: str) -> list[Arm]:
    """The group's runs as arms, with their points for the text set `text` ("" = the main one)."""
    text = text or next(iter(group.base.texts), "")
    found = _points(str(ws.root), group.key, tuple(r.id for r in group.runs), text, ws, group)
    return arms(group.runs, found[1:])


@st.cache_data(max_entries=32, show_spinner="Resampling prompts and documents")
def _points(
    root: str, key: str, ids: tuple[str, ...], text: str, _ws: Workspace, _group: TradeGroup
) -> list[TradePoint]:
    return pipeline.trade_points(_ws, _group, text)
