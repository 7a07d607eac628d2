"""Recipes kept under a name: saved, loaded into the form, replayed, compared, deleted, uploaded."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from core import pipeline
from core.errors import BadInput, WinnowError
from core.pipeline import NotReady, SavedRecipe
from core.selection import STRATEGIES
from core.values import Pool, Recipe, Selection
from core.workspace import Workspace
from ui import downloads, hand_changes, needs, state, tables
from ui.guards import plain
from ui.recipe_form import title

NOW = "the current settings"
IN_SIGHT = 6
LARGEST = 4_000_000  # bytes of an uploaded recipe; its pins and bans are lists of ids
LOADED = "selection.loaded"


def save(ws: Workspace, found: Selection) -> None:
    """A name and a button; the selection is stored with it."""
    name = st.text_input("Recipe's name", key="recipe.name", placeholder="e.g. kcenter-10").strip()
    replace = st.checkbox("Replace one of that name", key="recipe.replace")
    if st.button("Save recipe", key="recipe.save", disabled=not name, icon=":material/bookmark:"):
        try:
            pipeline.save_recipe(ws, name, found, replace=replace)
            st.toast(f"Recipe {name} saved.")
        except WinnowError as error:
            st.error(plain(str(error)))


def manage(ws: Workspace, pool: Pool) -> None:
    """All saved recipes; what can be done with one of them; the difference of two; an upload."""
    saved = {recipe.name: recipe for recipe in pipeline.recipes(ws)}
    for sentence in pipeline.damaged_recipes(ws):
        st.warning(plain(sentence))
    if saved:
        _table(list(saved.values()))
    else:
        st.info("No recipe is saved yet. Tune one, then save it under a name.")
    left, right = st.columns(2, gap="medium")
    with left:
        if saved:
            _one(ws, pool, saved)
        _upload(pool)
    with right:
        _difference(pool, saved)


def _table(saved: list[SavedRecipe]) -> None:
    frame = pd.DataFrame(
        {
            "name": [s.name for s in saved],
            "strategy": [
                title(s.recipe.strategy) if s.recipe.strategy in list(STRATEGIES) else s.recipe.strategy
                for s in saved
            ],
            "budget": [s.recipe.budget.words for s in saved],
            "rows": [s.chosen for s in saved],
            "pool": [s.recipe.pool for s in saved],
            "for": [s.recipe.method for s in saved],
            "saved": pd.to_datetime([s.created for s in saved]),
        }
    )
    st.dataframe(
        frame,
        key="recipes.table",
        hide_index=True,
        height=tables.height(len(frame), IN_SIGHT),
        column_config={
            "strategy": st.column_config.TextColumn(width=250),
            "rows": st.column_config.NumberColumn(format="localized", width=60),
            "budget": st.column_config.TextColumn(width=90),
            "for": st.column_config.TextColumn(width=70),
            "saved": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
        },
        alt=f"{len(frame)} saved recipes",
    )
    downloads.table(frame, "recipes", key="recipes.csv")


def _one(ws: Workspace, pool: Pool, saved: dict[str, SavedRecipe]) -> None:
    """Load, replay, take along or delete one recipe."""
    name = str(st.selectbox("Recipe", list(saved), key="recipes.one"))
    one = saved[name]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Load",
            key="recipes.load",
            type="primary",
            icon=":material/input:",
            on_click=_load,
            args=(ws, pool, one),
            help="Sets the form to this recipe.",
        )
        replayed = st.button(
            "Replay",
            key="recipes.replay",
            icon=":material/replay:",
            help="Chooses again and checks that the rows are the same, one by one.",
        )
        downloads.document(one, f"recipe-{name}", key="recipes.json", label="Recipe (json)")
        with st.popover("Delete", icon=":material/delete:"):
            st.caption(plain(f"The recipe {name} goes; the rows it chose stay stored."))
            st.button("Delete it", key="recipes.delete", on_click=_delete, args=(ws, name))
    if replayed:
        _replay(ws, pool, one)
    if told := st.session_state.pop(LOADED, ""):
        st.error(plain(told), icon=":material/error:")
        st.button(
            "Take its settings to this pool",
            key="recipes.anyway",
            on_click=_take,
            args=(pool, one.recipe),
            help="Strategy, settings and budget, and the pins and bans whose rows are here.",
        )


def _load(ws: Workspace, pool: Pool, one: SavedRecipe) -> None:
    """Set the form to the recipe; where the pool is another one, say what differs instead."""
    try:
        told = _refusal(ws, pool, one)
    except WinnowError as error:
        told = str(error)
    if told:
        st.session_state[LOADED] = told
    else:
        _take(pool, one.recipe)


def _refusal(ws: Workspace, pool: Pool, one: SavedRecipe) -> str:
    """Why the recipe cannot choose the same rows here; empty where it can."""
    found = pipeline.pool_differences(ws, one, pool.name)
    if not found:
        return ""
    what = "is another pool" if pool.name != one.recipe.pool else "has changed since"
    return (
        f"{one.name} was saved on {one.recipe.pool}, and {pool.name} {what}: {'; '.join(found)}. "
        "The same rows cannot be promised here. Turn to the pool it was saved on, or load it and take its "
        "settings over"
    )


def _take(pool: Pool, recipe: Recipe) -> None:
    """Set the form to the recipe as far as it fits this pool, and show the form."""
    there = state.places(pool)
    pins, bans = (tuple(i for i in ids if i in there) for ids in (recipe.pins, recipe.bans))
    try:
        hand_changes.apply(pool, recipe.model_copy(update={"pool": pool.name, "pins": pins, "bans": bans}))
    except WinnowError as error:
        st.session_state[LOADED] = str(error)
        return
    st.session_state["selection.view"] = "Tune"


def _delete(ws: Workspace, name: str) -> None:
    try:
        pipeline.delete_recipe(ws, name)
    except WinnowError as error:  # another session was faster
        st.session_state[LOADED] = str(error)


def _replay(ws: Workspace, pool: Pool, one: SavedRecipe) -> None:
    try:
        if told := _refusal(ws, pool, one):
            raise BadInput(told)
        with st.spinner("Choosing again"):
            again = pipeline.replay(ws, one, pool.name)
        st.success(
            f"The same {len(again.ids):,} rows in the same order, on {plain(pool.name)}.",
            icon=":material/check_circle:",
        )
    except NotReady as missing:
        needs.offer(ws, missing.requests, key="recipes.needs")
    except WinnowError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _difference(pool: Pool, saved: dict[str, SavedRecipe]) -> None:
    """Two recipes field by field."""
    now = hand_changes.history(pool).present
    options = {name: one.recipe for name, one in saved.items()}
    if now is not None:
        options = {NOW: now.recipe} | options
    if len(options) < 2:  # noqa: PLR2004 - a difference has two sides
        return
    with st.container(border=True):
        st.markdown("**Difference of two recipes**")
        a, b = st.columns(2)
        left = a.selectbox("Left", list(options), key="recipes.left")
        right = b.selectbox("Right", list(options), 1, key="recipes.right")
        changes = pipeline.diff(options[str(left)], options[str(right)])
        if not changes:
            st.caption("They ask for the same.")
            return
        frame = pd.DataFrame(
            {"field": [c.field for c in changes]}
            | {side: [_words(getattr(c, side)) for c in changes] for side in ("left", "right")}
        )
        st.dataframe(
            frame,
            key="recipes.diff",
            hide_index=True,
            height=tables.height(len(frame), 10),
            alt=f"{len(frame)} fields in which {left} and {right} differ",
        )


def _words(value: Any) -> str:
    """A field's value as a cell of text."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _upload(pool: Pool) -> None:
    """A recipe from a json file, plain or saved."""
    with st.container(border=True):
        file = st.file_uploader("Recipe from a file", type="json", key="recipes.file", max_upload_size=4)
        if file is None:
            return
        try:
            recipe = read(file.getvalue())
        except WinnowError as error:
            st.error(plain(str(error)))
            return
        st.caption(
            plain(f"{recipe.strategy}, {recipe.budget.words}, for {recipe.method}; made on {recipe.pool}")
        )
        st.button("Set the form to it", key="recipes.upload", on_click=_take, args=(pool, recipe))


def read(data: bytes) -> Recipe:
    """The recipe in a json file that this page or the command line wrote; BadInput says what is wrong."""
    if len(data) > LARGEST:
        raise BadInput(f"the file has {len(data):,} bytes, which no recipe has; choose a recipe's json file")
    try:
        spec = json.loads(data)
    except ValueError as error:
        raise BadInput(f"the file is no json ({error}); choose a recipe's json file") from error
    if isinstance(spec, dict) and isinstance(spec.get("recipe"), dict):  # a saved recipe, or a selection
        spec = spec["recipe"]
    if not isinstance(spec, dict):
        raise BadInput("the file holds no recipe; a recipe is a json object with a strategy and a budget")
    recipe: Recipe = pipeline.parse(Recipe, spec, "the recipe", see="the Recipe (json) of any selection")
    return recipe
