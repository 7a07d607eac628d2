"""What a recipe chose: numbers and shortfalls, shares against the pool, the map, the rows; and keeping it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import pipeline
from core.pipeline import Choice
from core.selection.diagnostics import Balance, balance, coverage_radius, label_balance, redundancy
from core.values import Reason, Rows
from core.workspace import Workspace
from ui import colours, downloads, figures, job_panel, recipe_views, state, tables, theme, tray, why_views
from ui.guards import link, plain

CLUSTERS = ("hdbscan", "kmeans")  # the first that is there is shown
LIMIT = 14  # bars of one chart
VIEWS = ("Shares", "Map", "Rows", "Why")
SHOW = "selection.show"
COVERAGE = "Distance from the worst covered row to its nearest selected one, in PCA-50; lower is better."
REDUNDANCY = "Mean cosine of a selected row to the most similar other one, in PCA-50; lower is more varied."


def numbers(choice: Choice) -> None:
    """How many, of how many, how well they cover the pool, and what could not be had."""
    found = choice.selection
    share = 100 * len(found.ids) / found.eligible if found.eligible else 0.0
    with st.container(horizontal=True, key="selection.numbers"):
        st.metric("Selected", f"{len(found.ids):,}", width=95, help=f"{share:.3g} % of the eligible rows.")
        st.metric("Eligible", f"{found.eligible:,}", width=92, help="Train rows this method can learn from.")
        if found.tokens is not None:
            st.metric("Tokens", f"{found.tokens:,}", width=110, help="Of the selected rows together.")
        covered = _coverage(choice)
        if covered is not None:
            st.metric("Coverage radius", theme.number(covered[0]), width=138, help=COVERAGE)
            st.metric("Redundancy", theme.number(covered[1]), width=112, help=REDUNDANCY)
        cost = pipeline.predict(choice.ws, choice.recipe, len(found.ids))
        if cost.seconds is not None:
            st.metric("Repair", job_panel.duration(cost.seconds), width=100, help=plain(cost.sentence))
    shortfall(choice)
    _left_out(choice)


def shortfall(choice: Choice) -> None:
    """A budget that could not be met, said loudly with the reasons; other warnings below it."""
    found = choice.selection
    if not found.shortfall:
        for warning in found.warnings:
            st.warning(plain(warning), icon=":material/warning:")
        return
    asked = len(found.ids) + found.shortfall
    said = f"**Asked for {asked:,} rows, got {len(found.ids):,}: {found.shortfall:,} could not be filled.**"
    reasons = "".join(f"\n- {plain(warning)}" for warning in found.warnings)
    st.error(said + ("\n" + reasons if reasons else ""), icon=":material/error:")


def _left_out(choice: Choice) -> None:
    """What was never in the race, in one line."""
    found = choice.selection
    parts = [f"{n:,} {why}" for why, n in found.left_out.items()]
    total = len(choice.seen.pool) - found.eligible
    said = [f"Left out {total:,}: " + " · ".join(parts)] if parts else []
    said += [f"{found.set_aside:,} near-duplicates set aside"] if found.set_aside else []
    said += ["Another budget is a cut of the same order: instant"] if choice.nested else []
    if said:
        st.caption(plain(" · ".join(said)))


def _coverage(choice: Choice) -> tuple[float, float] | None:
    """(coverage radius, redundancy) in PCA-50, or None where there are no vectors; measured once."""
    space = choice.signal("vectors:pca50")
    if space is None or not len(choice.picked.rows):
        return None
    return _measure(choice.selection.key, space.key.digest, choice, np.asarray(space.array()))


@st.cache_data(max_entries=64, show_spinner=False)
def _measure(key: str, digest: str, _choice: Choice, _x: np.ndarray) -> tuple[float, float]:
    x, rows = _x[_choice.seen.found.rows], _choice.picked.rows
    return coverage_radius(x, rows), redundancy(x, rows)


def keep(ws: Workspace, choice: Choice) -> None:
    """Store it, put it beside others, take its recipe along, go on to the repair."""
    found, pool = choice.selection, choice.seen.pool
    with st.container(horizontal=True, vertical_alignment="center", key="selection.keep"):
        if st.button("Save selection", type="primary", icon=":material/bookmark:", key="selection.save"):
            pipeline.save_selection(ws, found)
            st.toast(f"Selection {found.key} saved.")
        held, count = tray.holder(pool, choice.recipe), len(tray.arms(pool))
        st.button(
            "In the comparison" if held else "Add to comparison",
            key="selection.add",
            icon=":material/check:" if held else ":material/add:",
            disabled=held is not None or count >= tray.MOST or not found.ids,
            on_click=tray.add,
            args=(pool, choice.recipe),
            help=f"{count} of {tray.MOST} recipes are in the comparison.",
        )
        with st.popover("Save recipe", icon=":material/save:", help="Under a name, or as a file."):
            recipe_views.save(ws, found)
            downloads.document(
                found.recipe, f"recipe-{found.key}", key="selection.recipe", label="Recipe (json)"
            )
            downloads.document(
                found, f"selection-{found.key}", key="selection.json", label="Rows and reasons (json)"
            )
        link("repair", "Repair with it")


@st.fragment
def picture(ws: Workspace, choice: Choice) -> None:
    """What was chosen: shares against the pool, the map, the rows, or one row explained."""
    state.seed(SHOW, VIEWS[0])
    what = st.segmented_control("Show", VIEWS, required=True, key=SHOW, label_visibility="collapsed")
    if what == "Shares":
        _shares(choice)
    elif what == "Map":
        _map(ws, choice)
    elif what == "Rows":
        _rows(ws, choice)
    else:
        why_views.box(ws, choice)


def _shares(choice: Choice) -> None:
    """Categories and clusters of the selection against all eligible rows."""
    pool, eligible, rows = choice.seen.pool, choice.seen.found.rows, choice.picked.rows
    names, member = pool.categories()
    extended = np.column_stack([member, ~member.any(axis=1)])[eligible]
    left, right = st.columns(2, gap="medium")
    with left:
        _bars("category", balance(extended, (*names, colours.NONE), rows))
    with right:
        kind = next((c for c in CLUSTERS if choice.signal(f"cluster:{c}")), None)
        if kind is None:
            _bars("behaviour", label_balance(pool.column("behaviour")[eligible].astype(str), rows))
            return
        signal = choice.signal(f"cluster:{kind}")
        assert signal is not None  # found above
        labels = np.asarray(signal.array())[eligible]
        titles = {str(c): f"cluster {c}" for c in range(labels.max(initial=-1) + 1)}
        _bars(f"cluster ({kind})", label_balance(labels, rows), titles | {"-1": colours.NOISE})


def _bars(what: str, found: Balance, titles: dict[str, str] | None = None) -> None:
    names = [(titles or {}).get(n, n) for n in found.names]
    figure, frame = figures.share_bars(
        names, (100 * found.selected_share).tolist(), (100 * found.pool_share).tolist(), limit=LIMIT
    )
    frame = frame.assign(**_counts(found, names, frame))
    more = f", the {LIMIT} largest of {len(names)}" if len(names) > LIMIT else ""
    st.markdown(plain(f"By {what}{more}"))
    st.caption(f"KL divergence {theme.number(found.kl)} nats (0 = the eligible rows' mix)")
    figures.show(
        figure,
        key=f"selection.by.{what.split()[0]}",
        alt=f"Share of the selection and of the eligible rows by {what}",
        data=frame,
        name=f"selection-by-{what.split()[0]}",
    )


def _counts(found: Balance, names: list[str], frame: pd.DataFrame) -> dict[str, list[int]]:
    place = {n: i for i, n in enumerate(names)}
    order = [place[n] for n in frame["group"]]
    return {"selected": found.selected_rows[order].tolist(), "eligible": found.pool_rows[order].tolist()}


def chosen_rows(choice: Choice) -> Rows:
    """Row numbers in the pool of the chosen rows, in the order chosen."""
    rows: Rows = choice.seen.found.rows[choice.picked.rows]
    return rows


def _map(ws: Workspace, choice: Choice) -> None:
    pool, rows = choice.seen.pool, chosen_rows(choice)
    position = state.find(ws, "vectors:map", pool)
    if position is None:
        st.info("The map of this pool is not computed yet.")
        link("map", "Make it on the Map page")
        return
    colouring = colours.by_category(*pool.categories())
    left, right = st.columns([5, 3], gap="small")
    with left:
        figure = figures.map_figure(
            np.asarray(position.array()), colouring, np.arange(len(pool)), rows, height=480
        )
        figures.show(
            figure, key="selection.map", alt=f"Map of {pool.name}; rings mark the {len(rows):,} selected rows"
        )
    with right:
        st.markdown("**Selected rows by category**")
        figure, frame = figures.legend_bars(colouring, rows)
        figures.show(
            figure, key="selection.map.legend", alt="Selected rows by category", data=frame, name="selected"
        )


def _rows(ws: Workspace, choice: Choice) -> None:
    """Every chosen row in the order chosen, or those not chosen; the one clicked is explained."""
    pool, rows = choice.seen.pool, chosen_rows(choice)
    state.seed("selection.rows.which", "Chosen")
    which = st.segmented_control(
        "Which",
        ["Chosen", "Not chosen"],
        required=True,
        key="selection.rows.which",
        label_visibility="collapsed",
    )
    mask, extra = state.mask(ws, pool), _reasons(choice.picked.reasons)
    if which != "Chosen":
        rows, extra = np.setdiff1d(choice.seen.found.rows, rows), {}
    st.caption("Click the first cell of a row to read it and to learn why it was chosen, or why not.")
    clicked = tables.show(pool, rows, mask, key=f"selection.rows.{which}", extra=extra, most=8)
    if clicked is not None:
        why_views.answer(ws, choice, str(pool.frame["id"].iloc[clicked]))


def _reasons(reasons: Sequence[Reason]) -> dict[str, list[Any]]:
    """Columns of the reasons; those no row has are left out."""
    columns: dict[str, list[Any]] = {
        "rank": list(range(1, len(reasons) + 1)),
        "why": [r.role for r in reasons],
        "for category": [r.category or "" for r in reasons],
        "cluster": [r.cluster for r in reasons],
        "bin": [r.bin for r in reasons],
        "score": [None if r.score is None else round(r.score, 4) for r in reasons],
        "shares": [" ".join(f"{k} {100 * v:.0f} %" for k, v in r.shares.items()) for r in reasons],
        "penalty": [None if r.penalty is None else round(r.penalty, 4) for r in reasons],
    }
    return {name: values for name, values in columns.items() if any(v not in (None, "") for v in values)}
