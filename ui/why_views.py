"""Why this row, and why not that one: the sentences, the nearest chosen rows, the example itself."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import pipeline
from core.pipeline import Choice
from core.workspace import Workspace
from ui import state, tables
from ui.guards import plain

ID = "selection.why"


def box(ws: Workspace, choice: Choice) -> None:
    """A box for a row's id, and the answer."""
    state.seed(ID, "")
    row_id = st.text_input(
        "Row id", key=ID, placeholder="An id of this pool, chosen or not", persist_state="session"
    ).strip()
    if row_id:
        answer(ws, choice, row_id)
    else:
        st.caption("Why was this row chosen, or why not? Every row of the pool has an answer.")


def answer(ws: Workspace, choice: Choice, row_id: str) -> None:
    """What decided about the row, beside the row as it reads; buttons that pin or ban it."""
    found, pool = pipeline.why(choice, row_id), choice.seen.pool
    row = state.places(pool).get(row_id)
    if row is None:
        st.warning(plain(" ".join(found.sentences)))
        return
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True):
        st.markdown(f"**{plain(row_id)}** is {'chosen' if found.chosen else 'not chosen'}")
        for sentence in found.sentences:
            st.markdown(plain(sentence))
        _marks(choice, row_id)
    with right:
        tables.card(pool, row, state.mask(ws, pool), {"split": str(pool.frame["split"].iloc[row])})
    if found.nearest:
        _nearest(ws, choice, found)


def _marks(choice: Choice, row_id: str) -> None:
    """Pin or ban the row, or take that back; the whole page follows."""
    pool = choice.seen.pool
    with st.container(horizontal=True):
        for kind, word, icon in ((state.PINS, "Pin", "keep"), (state.BANS, "Ban", "block")):
            held = state.marked(kind, pool)
            on = row_id in held
            label = f"Un{word.lower()}" if on else word
            if st.button(label, key=f"why.{word}", icon=f":material/{icon}:"):
                state.mark(kind, pool, tuple(i for i in held if i != row_id) if on else (*held, row_id))
                st.rerun()


def _nearest(ws: Workspace, choice: Choice, found: pipeline.Why) -> None:
    pool, mask = choice.seen.pool, state.mask(ws, choice.seen.pool)
    rows = [state.places(pool)[row_id] for row_id, _ in found.nearest]
    texts = pool.frame.iloc[rows]
    frame = pd.DataFrame(
        {
            "id": [row_id for row_id, _ in found.nearest],
            "cosine": [cosine for _, cosine in found.nearest],
            "prompt": mask.texts([t[: tables.CELL] for t in texts["prompt"]], rows),
        }
    )
    what = "Nearest other chosen rows" if found.chosen else "Nearest chosen rows"
    st.caption(plain(f"{what}, by cosine" + (f" in {found.space}" if found.space else "")))
    st.dataframe(
        frame,
        hide_index=True,
        key="why.nearest",
        height=tables.height(len(frame), len(frame)),
        column_config={
            "id": st.column_config.TextColumn(width=170),
            "cosine": st.column_config.NumberColumn(format="%.3f", width=70),
        },
        alt=f"{what} and their cosine to {found.row_id}",
    )
