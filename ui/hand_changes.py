"""Undo and redo of what was changed by hand: settings, budget, pins and bans, one history for each pool."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.values import Pool, Recipe
from ui import recipe_form, state
from ui.history import History

STEPPED = "selection.stepped"  # when something was last undone or redone
ECHO = 1.0  # seconds within which the browser hears of it
OF = "selection.of"  # fingerprint of the pool that the form stands for


@dataclass(frozen=True)
class Hand:
    """The form and the marks at one moment; a pin may rest, so the marks can be more than the recipe's."""

    recipe: Recipe
    pins: tuple[str, ...] = ()
    bans: tuple[str, ...] = ()


def history(pool: Pool) -> History[Hand]:
    """What was changed on this very pool in this session."""
    return cast("History[Hand]", st.session_state.get(key(pool), History()))


def key(pool: Pool) -> str:
    """Where the session keeps it."""
    return f"selection.history:{pool.name}:{pool.fingerprint}"


def record(pool: Pool, recipe: Recipe) -> None:
    """Keep the form as it was drawn; an unchanged one is no step.

    A browser that has not heard of an undo yet sends the old values along with the next click, and they would
    count as a change: right after a step, a form that was left by it is set anew instead.
    """
    now, steps = Hand(recipe, state.marked(state.PINS, pool), state.marked(state.BANS, pool)), history(pool)
    just = time.monotonic() - st.session_state.get(STEPPED, -ECHO) < ECHO
    if just and now != steps.present and now in (*steps.past, *steps.future):
        st.session_state[OF] = ""
        st.rerun()
    st.session_state[key(pool)] = steps.then(now)


def turn_to(pool: Pool) -> None:
    """Give the form what was last set for this very pool; a pool not tuned yet takes over what suits it."""
    if st.session_state.get(OF) == pool.fingerprint:
        return
    st.session_state[OF] = pool.fingerprint
    last = history(pool).present
    if last is None:
        recipe_form.suit(pool)
    else:
        _set(pool, last)


def apply(pool: Pool, recipe: Recipe) -> None:
    """Set form and marks to the recipe; for callbacks. What was there can be undone."""
    _set(pool, Hand(recipe, recipe.pins, recipe.bans))


def _set(pool: Pool, hand: Hand) -> None:
    recipe_form.fill(hand.recipe)
    state.mark(state.PINS, pool, hand.pins)
    state.mark(state.BANS, pool, hand.bans)


def _step(pool: Pool, back: bool, unfit: bool) -> None:
    steps = history(pool)
    then = (steps if unfit else steps.undo()) if back else steps.redo()
    st.session_state[key(pool)], st.session_state[STEPPED] = then, time.monotonic()
    if then.present is not None:
        _set(pool, then.present)


def buttons(place: DeltaGenerator, pool: Pool, *, unfit: bool) -> None:
    """Undo and redo, with how many steps there are; drawn last, when this run's change is recorded.

    Where the form as it stands is `unfit` to be a recipe, undo goes back to the last one that was.
    """
    steps = history(pool)
    back_to = len(steps.past) + (unfit and steps.present is not None)
    with place:
        for label, icon, back, count in (
            ("Undo", "undo", True, back_to),
            ("Redo", "redo", False, len(steps.future)),
        ):
            st.button(
                label,
                key=f"selection.{label.lower()}",
                icon=f":material/{icon}:",
                disabled=not count,
                on_click=_step,
                args=(pool, back, unfit),
                help=f"{count} changes" if count else "Nothing was changed by hand yet." if back else None,
                type="tertiary",
            )
