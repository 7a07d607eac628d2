"""Rows pinned and banned by hand: read from a box of ids, shown, taken back."""

from __future__ import annotations

import re
from collections.abc import Collection

import streamlit as st

from core.values import Pool
from ui import state
from ui.guards import plain

NAMED = 3  # ids named in a sentence
LISTED = 200  # ids of one kind that can be taken back one by one
BOX = "selection.ids"
WORDS = {state.PINS: "pinned", state.BANS: "banned"}


def parse_ids(text: str) -> tuple[str, ...]:
    """Row ids separated by commas or line ends, each once; an id may hold blanks and colons."""
    parts = (part.strip() for part in re.split(r"[,\n\r]+", text))
    return tuple(dict.fromkeys(part for part in parts if part))


def box(pool: Pool) -> None:
    """The box that takes ids, and what is pinned and banned now, each id with a cross to take it back."""
    counts = {kind: len(state.marked(kind, pool)) for kind in WORDS}
    title = ", ".join(f"{n:,} {WORDS[kind]}" for kind, n in counts.items() if n) or "none"
    with st.expander(f"Pins and bans: {title}", icon=":material/keep:", key="selection.marks"):
        st.text_area(
            "Row ids",
            key=BOX,
            height=68,
            placeholder="Ids, separated by commas or lines",
            help="Pinned rows are always taken, inside the budget; banned rows never. "
            "On the Map page a lasso does the same.",
        )
        with st.container(horizontal=True):
            st.button("Pin", key="selection.pin", on_click=_take, args=(state.PINS, pool))
            st.button("Ban", key="selection.ban", on_click=_take, args=(state.BANS, pool))
        if told := st.session_state.pop("selection.ids.told", ""):
            st.warning(plain(told))
        for kind, word in WORDS.items():
            _listed(kind, word, pool)


def _take(kind: str, pool: Pool) -> None:
    """Mark the ids in the box that the pool knows; the others stay in the box and are told."""
    ids = parse_ids(st.session_state.get(BOX, ""))
    unknown = [row_id for row_id in ids if row_id not in state.places(pool)]
    state.mark(kind, pool, state.marked(kind, pool) + tuple(i for i in ids if i not in unknown))
    st.session_state[BOX] = "\n".join(unknown)
    if unknown:
        st.session_state["selection.ids.told"] = (
            f"{len(unknown):,} of {len(ids):,} ids are not in {pool.name}: {_some(unknown)}"
        )
    elif not ids:
        st.session_state["selection.ids.told"] = "Write the ids of some rows first."


def _some(ids: Collection[str]) -> str:
    """The first few ids, and how many more."""
    more = len(ids) - NAMED
    return ", ".join(list(ids)[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _listed(kind: str, word: str, pool: Pool) -> None:
    """The ids of one kind; crossing one out, or all, takes them back."""
    ids = state.marked(kind, pool)
    if not ids:
        return
    shown = list(ids[:LISTED])
    key = f"selection.{word}.{hash(ids)}"  # a new widget for other ids: an old one's answer is not about them
    st.multiselect(
        word.capitalize() + (f" (the first {LISTED} of {len(ids):,})" if len(ids) > LISTED else ""),
        shown,
        shown,
        key=key,
        on_change=_keep,
        args=(kind, pool, key),
        placeholder="none",
    )


def _keep(kind: str, pool: Pool, key: str) -> None:
    """Keep the ids still listed, and those that were too many to list; none listed forgets all."""
    left = st.session_state[key]
    state.mark(kind, pool, (*left, *state.marked(kind, pool)[LISTED:]) if left else ())


def buttons(pool: Pool, ids: tuple[str, ...]) -> None:
    """Pin, ban or let go of rows chosen on a picture; what is marked so far stands beside."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for kind, label, icon, words in (
            (state.PINS, "Pin", "keep", "The next selection always takes them, as far as it may."),
            (state.BANS, "Ban", "block", "The next selection never takes them."),
        ):
            st.button(
                f"{label} {len(ids):,} rows",
                key=f"map.{label}",
                icon=f":material/{icon}:",
                on_click=_mark_all,
                args=(kind, pool, ids),
                help=words,
            )
        pins, bans = (set(state.marked(kind, pool)) for kind in WORDS)
        if (pins | bans).intersection(ids):
            st.button(
                "Let go", key="map.let", icon=":material/undo:", on_click=_mark_all, args=("", pool, ids)
            )
        if pins or bans:
            st.caption(f"{len(pins):,} pinned, {len(bans):,} banned for the next selection")


def _mark_all(kind: str, pool: Pool, ids: tuple[str, ...]) -> None:
    """Add the ids to one kind, or take them from both."""
    for each in WORDS:
        held = tuple(i for i in state.marked(each, pool) if i not in set(ids))
        state.mark(each, pool, (*held, *ids) if each == kind else held)


def ask_why(row_id: str) -> None:
    """A button that goes to the Selection page, where the row is explained."""
    if st.button("Why selected, or why not", key="map.why", icon=":material/help:", type="tertiary"):
        st.session_state["selection.why"] = row_id
        st.session_state["selection.show"], st.session_state["selection.view"] = "Why", "Tune"
        st.switch_page("../pages/selection.py")


def effective(pool: Pool, eligible: Collection[str], method: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(pins, bans) of the recipe; says which pins the method cannot learn from, and leaves them out."""
    pins, bans = state.marked(state.PINS, pool), state.marked(state.BANS, pool)
    idle = [row_id for row_id in pins if row_id not in eligible]
    if idle:
        said = f"{len(idle):,} of {len(pins):,} pinned rows are not eligible for {method} and rest: "
        st.caption(plain(said + _some(idle)))
    return tuple(i for i in pins if i in eligible), bans
