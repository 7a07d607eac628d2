"""A table whose click means a thing, not a place: lines move up and down while work goes on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.workspace import content_key


def table(frame: pd.DataFrame, ids: Sequence[str], key: str, **look: Any) -> str | None:
    """Draw `frame`, whose lines are the things `ids` names; the id of the one that was clicked, or None."""
    held, place = f"{key}.clicked", f"{key}.{content_key(list(ids))}"
    clicked: str | None = st.session_state.get(held)
    at = [list(ids).index(clicked)] if clicked is not None and clicked in ids else []
    st.dataframe(
        frame,
        key=place,
        hide_index=True,
        on_select=partial(_remember, held, place, tuple(ids)),
        selection_mode="single-row",
        selection_default={"selection": {"rows": at}},
        **look,
    )
    return clicked if clicked in ids else None


def _remember(held: str, place: str, ids: Sequence[str]) -> None:
    """Keep what was clicked; nothing where the click took the mark away."""
    rows = st.session_state[place].selection.rows
    st.session_state[held] = ids[rows[0]] if rows else None
