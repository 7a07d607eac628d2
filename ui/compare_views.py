"""Recipes side by side: the tray, numbers of each, what they share, balance and scores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import pipeline
from core.pipeline import Choice, Comparison
from core.scoring import SCORES
from core.selection.diagnostics import Balance
from core.values import Pool
from core.workspace import Workspace
from ui import compare_figures, downloads, figures, hand_changes, job_panel, state, tables, theme, tray
from ui.guards import plain
from ui.table_form import score_title

VIEWS = ("Overlap", "Balance", "Scores")
NOW = "Current settings"
SPACES = {"pca50": "PCA-50"}
NOTABLE = 0.02  # of Jaccard above chance that a sentence speaks of


def arms(pool: Pool) -> list[tray.Arm]:
    """The tray as chips that remove an arm, and the current settings unless they are in it."""
    held = list(tray.arms(pool))
    with st.container(horizontal=True, vertical_alignment="center", key="compare.tray"):
        for arm in held:
            _chip(pool, arm)
    now = hand_changes.history(pool).present
    if now is None or tray.holder(pool, now.recipe) or len(held) >= tray.MOST:
        return held
    state.seed("compare.now", True)
    words = "The recipe of the form beside those kept; it is drawn in black, or white in the dark theme."
    if st.toggle("With the current settings", key="compare.now", help=words, persist_state="session"):
        held.append(tray.Arm(NOW, now.recipe))
    return held


def _chip(pool: Pool, arm: tray.Arm) -> None:
    st.button(
        f':color[●]{{foreground="{arm.colour}"}} {plain(arm.name)}',
        icon=":material/close:",
        icon_position="right",
        key=f"chip.{arm.slot}",
        on_click=tray.remove,
        args=(pool, arm.name),
        help="Remove it from the comparison.",
    )


def _loader(pool: Pool, held: Sequence[tray.Arm]) -> None:
    """One of the arms set into the form, to be tuned further."""
    if not held:
        return
    with st.popover("Tune one", icon=":material/tune:", type="tertiary"):
        for arm in held:
            st.button(
                f':color[●]{{foreground="{arm.colour}"}} {plain(arm.name)}',
                key=f"chip.load.{arm.slot}",
                type="tertiary",
                on_click=_load,
                args=(pool, arm),
            )


def _load(pool: Pool, arm: tray.Arm) -> None:
    hand_changes.apply(pool, arm.recipe)
    st.session_state["selection.view"] = "Tune"


def show(ws: Workspace, held: Sequence[tray.Arm]) -> None:
    """The table of all arms and one kind of chart below it."""
    choices = [state.chosen(ws, arm.recipe) for arm in held]
    found = pipeline.compare(choices, [arm.name for arm in held])
    st.markdown(plain(summary(found)))
    frame = _table(found, held)
    state.seed("compare.show", VIEWS[0])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        what = st.segmented_control(
            "Show",
            VIEWS,
            required=True,
            key="compare.show",
            label_visibility="collapsed",
            persist_state="session",
        )
        with st.container(horizontal=True, width="content"):
            _loader(choices[0].seen.pool, [arm for arm in held if arm.slot >= 0])
            downloads.table(frame, "comparison", key="compare.csv", label="Table (csv)")
    if what == "Overlap":
        _overlap(found, held)
    elif what == "Balance":
        _balance(found, held)
    else:
        _scores(choices, held)


def summary(found: Comparison) -> str:
    """What the numbers say, neutrally: which covers best, and which two share more than chance would."""
    said = []
    covered = [(arm.radius, arm.rows, arm.name) for arm in found.arms if arm.radius is not None]
    if len(covered) > 1:
        radius, rows, name = min(covered)
        measured = f"{rows:,} rows, radius {theme.number(radius)} in {SPACES.get(found.space, found.space)}"
        said.append(f"Best coverage of the {found.eligible:,} eligible rows: {name} ({measured}).")
    pairs = list(combinations(range(len(found.arms)), 2))
    if pairs:
        i, j = max(pairs, key=lambda p: found.jaccard[p] - found.expected[p])
        most = f"Most in common: {found.arms[i].name} and {found.arms[j].name}"
        shared = (
            f"{100 * found.jaccard[i, j]:.0f} % of their rows ({100 * found.expected[i, j]:.0f} % by chance)"
        )
        more = found.jaccard[i, j] - found.expected[i, j] > NOTABLE
        said.append(f"{most}, {shared}." if more else "No two share clearly more rows than chance gives.")
    return " ".join(said) or "Add a second recipe to see what the two share."


def _table(found: Comparison, held: Sequence[tray.Arm]) -> pd.DataFrame:
    """One line per arm; lower is better but for rows and tokens. Returns the numbers."""
    frame = pd.DataFrame(
        {
            "arm": [arm.name for arm in found.arms],
            "rows": [arm.rows for arm in found.arms],
            "tokens": [arm.tokens for arm in found.arms],
            "coverage radius": [arm.radius for arm in found.arms],
            "AUCpr": [arm.aucpr for arm in found.arms],
            "redundancy": [arm.redundancy for arm in found.arms],
            "category KL": [arm.category_kl for arm in found.arms],
            "behaviour KL": [arm.behaviour_kl for arm in found.arms],
            "repair s": [arm.predicted_seconds for arm in found.arms],
            "shortfall": [arm.shortfall for arm in found.arms],
        }
    )
    shown = frame.assign(**{"repair s": [_cost(s) for s in frame["repair s"]]}).rename(
        columns={"repair s": "repair"}
    )
    shown.insert(0, "", "●")
    shown = shown.drop(columns=[c for c in ("tokens",) if shown[c].isna().all()])
    inks = {arm.name: f"color: {arm.colour}" for arm in held}
    styled = shown.style.apply(lambda row: [inks.get(row["arm"], ""), *[""] * (len(row) - 1)], axis=1)
    st.dataframe(
        styled,
        key="compare.table",
        hide_index=True,
        height=tables.height(len(frame), tray.MOST + 1),
        column_config=_columns(found),
        alt=summary(found),
    )
    st.caption(plain(f"Repair with {found.arms[0].name}: {found.arms[0].predicted.sentence}"))
    return frame


def _cost(seconds: float | None) -> str:
    return "n/a" if seconds is None or seconds != seconds else job_panel.duration(seconds)


def _columns(found: Comparison) -> dict[str, Any]:
    column, space = st.column_config, SPACES.get(found.space, found.space) or "no stored space"
    lower = "; lower is better."
    number = {
        "rows": ("localized", 60, "Chosen rows."),
        "tokens": ("localized", 75, "Of the chosen rows together."),
        "coverage radius": (
            "%.3f",
            112,
            f"Distance of the worst covered row to its nearest chosen one, in {space}{lower}",
        ),
        "AUCpr": ("%.3f", 66, f"Mean of those distances over all eligible rows, in {space}{lower}"),
        "redundancy": ("%.3f", 88, "Mean cosine of a chosen row to the most similar other one" + lower),
        "category KL": ("%.3f", 90, "Nats; 0 is the category mix of the eligible rows."),
        "behaviour KL": ("%.3f", 98, "Nats; 0 is the behaviour mix of the eligible rows."),
        "shortfall": ("localized", 74, "Rows of the budget that could not be filled."),
    }
    columns: dict[str, Any] = {
        name: column.NumberColumn(format=form, help=words, width=width)
        for name, (form, width, words) in number.items()
    }
    return columns | {
        "": column.TextColumn(width=20),
        "arm": column.TextColumn(width=170),
        "repair": column.TextColumn(width=60, help="Predicted training time, from the runs measured here."),
    }


def _overlap(found: Comparison, held: Sequence[tray.Arm]) -> None:
    """What every two share, and which rows are in exactly which selections."""
    names, colours = [arm.name for arm in held], [arm.colour for arm in held]
    if len(held) < 2:  # noqa: PLR2004
        st.caption("Two recipes can overlap; add another one.")
        return
    side_by_side = len(held) <= 4  # noqa: PLR2004 - more cells need the page's width
    left, right = st.columns(2, gap="medium") if side_by_side else (st.container(), st.container())
    with left:
        st.markdown("**Shared rows of every two** (Jaccard, and by chance)")
        figure, frame = compare_figures.overlap(names, found.jaccard, found.expected)
        figures.show(figure, key="compare.overlap", alt=summary(found), data=frame, name="overlap")
    with right:
        st.markdown("**Rows in exactly these selections**")
        sizes = [arm.rows for arm in found.arms]
        figure, frame = compare_figures.upset(names, colours, sizes, found.intersections)
        everywhere = next((n for members, n in found.intersections if len(members) == len(held)), 0)
        alt = f"{everywhere:,} rows are in all {len(held)} selections; each bar counts one combination"
        figures.show(figure, key="compare.upset", alt=alt, data=frame, name="intersections")


def _balance(found: Comparison, held: Sequence[tray.Arm]) -> None:
    """Categories and behaviour types of every arm against the eligible rows."""
    left, right = st.columns(2, gap="medium")
    for place, what in ((left, "category"), (right, "behaviour")):
        balances: list[Balance] = [getattr(arm, what) for arm in found.arms]
        with place:
            st.markdown(f"**By {what}**")
            if not balances[0].names:
                st.caption(f"No row of this pool has a {what}.")
                continue
            figure, frame = compare_figures.balance(
                balances[0].names,
                balances[0].pool_share,
                [b.selected_share for b in balances],
                [arm.name for arm in held],
                [arm.colour for arm in held],
            )
            worst = max(zip(balances, held, strict=True), key=lambda pair: pair[0].kl)
            kl = theme.number(worst[0].kl)
            alt = f"{worst[1].name} is farthest from the eligible rows' mix by {what}, {kl} nats"
            figures.show(figure, key=f"compare.by.{what}", alt=alt, data=frame, name=f"balance-{what}")


def _scores(choices: Sequence[Choice], held: Sequence[tray.Arm]) -> None:
    """How one stored score spreads over every arm and over the eligible rows."""
    stored = pipeline.stored_scores(choices[0])
    if not stored:
        st.caption("No score of this pool is computed yet; a strategy that needs one offers to make it.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = str(
            st.selectbox("Score", sorted(stored), key="compare.score", format_func=score_title, width=280)
        )
        said = st.container(width="stretch")
    found = pipeline.histograms(stored[name], choices)
    spec = SCORES[name]
    names = [arm.name for arm in held]
    figure, frame = compare_figures.histogram(
        found.edges,
        found.pool,
        found.arms,
        names,
        [arm.colour for arm in held],
        f"{spec.title} ({spec.unit})",
    )
    mean = theme.number(float(np.nanmean(np.asarray(stored[name].values, dtype=np.float64))))
    alt = f"{spec.title} of the eligible rows, {mean} on average, and of each selection"
    figures.show(figure, key="compare.histogram", alt=alt, data=frame, name=f"scores-{name}")
    missing = [f"{n:,} of {arm.name}" for n, arm in zip(found.arms_missing, held, strict=True) if n]
    words = f"{spec.direction[:1].upper()}{spec.direction[1:]}. In percent of each selection's scored rows."
    said.caption(plain(words + (f" Without the score: {', '.join(missing)}." if missing else "")))
