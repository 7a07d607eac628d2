"""The three views of the Selection page: tune one recipe, compare several, manage the saved ones."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import WinnowError
from core.pipeline import NotReady
from core.values import Pool, Recipe
from core.workspace import Workspace
from ui import (
    compare_views,
    guards,
    hand_changes,
    needs,
    recipe_form,
    recipe_views,
    selection_views,
    state,
    tray,
)

TALL = 680  # pixels of the form before it scrolls
VIEWS = ("Tune", "Compare", "Recipes")


def views(pool: Pool) -> str:
    """Which of the three is shown."""
    state.seed("selection.view", VIEWS[0])
    count = len(tray.arms(pool))
    return str(
        st.segmented_control(
            "View",
            VIEWS,
            required=True,
            key="selection.view",
            format_func=lambda v: f"Compare ({count})" if v == "Compare" and count else v,
            label_visibility="collapsed",
            persist_state="session",
        )
    )


def tune(ws: Workspace, pool: Pool, head: DeltaGenerator) -> None:
    """The form, and beside it what it chooses; undo and redo stand in the head of the page."""
    place = head.container(horizontal=True, width="content", key="selection.history")
    inputs, result = st.columns([3, 7], gap="medium")
    recipe: Recipe | WinnowError
    with inputs.container(height=TALL, border=False, key="selection.form"):  # what it chooses stays in sight
        try:
            hand_changes.turn_to(pool)
            recipe = recipe_form.draw(ws, pool)
            hand_changes.record(pool, recipe)
        except WinnowError as error:
            recipe = error
        hand_changes.buttons(place, pool, unfit=isinstance(recipe, WinnowError))
    with result, guards.sentences():
        if isinstance(recipe, WinnowError):
            raise recipe
        _result(ws, recipe)


def _result(ws: Workspace, recipe: Recipe) -> None:
    try:
        choice = state.chosen(ws, recipe)
    except NotReady as missing:
        needs.offer(ws, missing.requests, key="selection.needs")
        return
    state.choose(choice.selection)
    selection_views.numbers(choice)
    selection_views.keep(ws, choice)
    selection_views.picture(ws, choice)


def compare(ws: Workspace, pool: Pool) -> None:
    """The recipes of the tray side by side."""
    arms = compare_views.arms(pool)
    if not arms:
        st.info("Nothing to compare yet. Tune a recipe, then add it to the comparison; up to six fit.")
        return
    try:
        compare_views.show(ws, arms)
    except NotReady as missing:
        needs.offer(ws, missing.requests, key="compare.needs")


def recipes(ws: Workspace, pool: Pool) -> None:
    """Saved recipes and what can be done with them."""
    recipe_views.manage(ws, pool)
