"""One run of the plane: its recipe, its numbers, its texts, what harm is left, and where to go from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import pipeline
from core.errors import WinnowError
from core.evaluation import BASE
from core.pipeline import Run
from core.pipeline.against import quotas_from
from core.repair import METHODS
from core.selection import STRATEGIES
from core.selection.allocation import proportional
from core.values import Budget, Pool, Recipe, Selection
from core.workspace import Workspace
from ui import compare_runs, downloads, hand_changes, state, theme, trade_off_details
from ui.guards import plain

PARTS = ("Numbers", "Before and after", "Harm left", "Generations", "Recipe")
TOLD = "trade.told"


def panel(ws: Workspace, run: Run, others: Sequence[Run]) -> None:
    """Everything about one run; only the chosen part is computed."""
    with st.container(border=True, key="trade.panel"):
        pool = state.read_pool(ws, run.manifest.pool)
        st.markdown(f"**{plain(run.label)}**")
        st.caption(plain(facts(run)))
        _links(ws, pool, run)
        if told := st.session_state.pop(TOLD, ""):
            st.error(plain(told), icon=":material/error:")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            part = st.segmented_control(
                "About this run",
                PARTS,
                default=PARTS[0],
                required=True,
                key="trade.part",
                persist_state="session",
            )
            against = BASE
            if part in PARTS[:3]:
                against = _other(run, others)
        _part(ws, pool, run, str(part), against)


def facts(run: Run) -> str:
    """Strategy, budget, method, length, seed, dose and cost in one line."""
    m = run.manifest
    parts = [
        STRATEGIES[m.strategy].title if m.strategy in list(STRATEGIES) else m.strategy,
        f"{m.budget:,} of {m.eligible:,} eligible rows ({100 * run.share:.3g} %)",
        METHODS[m.spec.method].title if m.spec.method in list(METHODS) else m.spec.method,
        f"{m.result.get('steps', 'n/a')} steps, best at {m.result.get('best_step', 'n/a')}",
        f"seed {m.spec.seed}",
        f"{m.seconds:.0f} s on {m.device}",
    ]
    return " · ".join([*parts, *dose(run)])


def dose(run: Run) -> list[str]:
    """The mix that was trained, where there was one: safety and benign rows, their share, epochs."""
    held: dict[str, Any] = getattr(run.manifest, "dose", {}) or {}
    if not held:
        return []
    said = f"mix: {held.get('safety', 0):,} safety rows with {held.get('benign', 0):,} benign ones"
    if held.get("percent") is not None:
        said += f" (dose {theme.number(held['percent'])} %)"
    return [said + (f", {theme.number(held['epochs'])} epochs" if held.get("epochs") is not None else "")]


def _other(run: Run, others: Sequence[Run]) -> str:
    """What the run is compared with: the base model, or another run measured alike."""
    names = {BASE: "Base model"} | {r.id: r.label for r in others if r.id != run.id}
    state.seed("trade.with", BASE)
    if st.session_state["trade.with"] not in names:
        st.session_state["trade.with"] = BASE
    return str(
        st.selectbox("Compared with", list(names), key="trade.with", format_func=names.__getitem__, width=300)
    )


def _part(ws: Workspace, pool: Pool, run: Run, part: str, against: str) -> None:
    if part == PARTS[0]:
        compare_runs.verdicts(ws, against, run.id, key="trade.verdicts")
    elif part == PARTS[1]:
        compare_runs.before_after(ws, against, run.id, key="trade.texts")
    elif part == PARTS[2]:
        frame = compare_runs.change_by_category(ws, against, run.id, key="trade.harm")
        if not frame.empty:
            _choose_more(ws, pool, run, frame)
    elif part == PARTS[3]:
        trade_off_details.generations(ws, run)
    else:
        trade_off_details.recipe(ws, run)


def _links(ws: Workspace, pool: Pool, run: Run) -> None:
    """From the run back to its rows and its recipe."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Rows on the map", key="trade.rows", icon=":material/scatter_plot:"):
            _on_map(ws, pool, run)
        if st.button("Open the recipe", key="trade.recipe", icon=":material/tune:"):
            _on_desk(ws, pool, run)
        downloads.document(run.manifest, f"run-{run.id}", key="trade.manifest", label="Run (json)")


def _selection(ws: Workspace, run: Run) -> Selection | None:
    """The rows it learned from; None where that file is gone, which is told."""
    try:
        return pipeline.load_selection(ws, run.manifest.selection)
    except WinnowError as error:
        st.session_state[TOLD] = str(error)
        return None


def _on_map(ws: Workspace, pool: Pool, run: Run) -> None:
    """Make its rows the session's selection, ringed on the map."""
    found = _selection(ws, run)
    if found is None:
        st.rerun()
    elif found.pool_fingerprint != pool.fingerprint:
        st.error(
            plain(f"The pool {pool.name} has changed since these rows were chosen; they cannot be shown.")
        )
    else:
        state.choose(found)
        state.show_pool(pool.name)
        _go("map")


def _on_desk(ws: Workspace, pool: Pool, run: Run) -> None:
    """Set the form of the Selection page to its recipe."""
    found = _selection(ws, run)
    if found is None:
        st.rerun()
    else:
        open_recipe(pool, found.recipe)


def open_recipe(pool: Pool, recipe: Recipe) -> None:
    """Go to the Selection page with this recipe in its form; what the pool lacks is left out."""
    there = state.places(pool)
    pins, bans = (tuple(i for i in ids if i in there) for ids in (recipe.pins, recipe.bans))
    try:
        hand_changes.turn_to(pool)
        hand_changes.apply(pool, recipe.model_copy(update={"pool": pool.name, "pins": pins, "bans": bans}))
    except WinnowError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    state.show_pool(pool.name)
    st.session_state["selection.view"] = "Tune"
    _go("selection")


def _go(page: str) -> None:
    """Turn to a page; where a page runs alone, as in tests, there is none to turn to."""
    st.session_state["trade.gone"] = page
    st.switch_page(f"../pages/{page}.py")


def _choose_more(ws: Workspace, pool: Pool, run: Run, frame: pd.DataFrame) -> None:
    """Carry what is left back to the Selection page, as rows of each category."""
    quotas = quotas_from(frame)
    table = {name: value for name, value in quotas.items() if name in set(pool.categories()[0])}
    if not table:
        st.caption(
            plain(f"The categories measured here are none of {pool.name}, so no quotas can be made of them.")
        )
        return
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(table.items())[:4])
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Choose more for what is left", key="trade.more", icon=":material/add_circle:")
        st.caption(plain(f"A blend with quotas by what is left: {said}{' …' if len(table) > 4 else ''}"))  # noqa: PLR2004
    if pressed and (found := _selection(ws, run)) is not None:
        open_recipe(pool, quota_recipe(pool, found.recipe, run.manifest.budget, table))


def quota_recipe(pool: Pool, recipe: Recipe, rows: int, shares: dict[str, float]) -> Recipe:
    """The recipe as a blend of `rows` rows, shared among the categories as `shares` says.

    No category is asked for more rows than are eligible; what one lacks goes to the others.
    """
    names, member = pool.categories()
    there = member[pipeline.eligibility(pool, recipe.method).rows].sum(axis=0)
    wanted = [shares.get(name, 0.0) for name in names]
    counts = proportional(there * (np.array(wanted) > 0), rows, weights=wanted)
    table = {name: int(n) for name, n in zip(names, counts, strict=True) if n}
    params = {"quota": "custom", "quota_by": "category", "table": table}
    budget = Budget(rows=rows, percent=None)
    return recipe.model_copy(update={"strategy": "blend", "params": params, "budget": budget})
