"""The comparison tray: up to six named recipes of a pool, each with a colour it keeps until it is removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from core.values import Pool, Recipe
from ui import theme
from ui.recipe_form import title

MOST = 6


@dataclass(frozen=True)
class Arm:
    """One recipe under comparison; its slot gives it its colour in every chart."""

    name: str
    recipe: Recipe
    slot: int = -1  # -1 is the form's current recipe, which is in no tray

    @property
    def colour(self) -> str:
        """A colour of the palette, or ink for the current recipe."""
        return theme.grey("ring") if self.slot < 0 else theme.PALETTE[self.slot]


def arms(pool: Pool) -> tuple[Arm, ...]:
    """The tray of this very pool, in the order of adding."""
    held: tuple[Arm, ...] = st.session_state.get(key(pool), ())
    return held


def key(pool: Pool) -> str:
    """Where the session keeps it."""
    return f"selection.tray:{pool.name}:{pool.fingerprint}"


def holder(pool: Pool, recipe: Recipe) -> Arm | None:
    """The arm that is just this recipe, or None."""
    return next((arm for arm in arms(pool) if arm.recipe == recipe), None)


def add(pool: Pool, recipe: Recipe, name: str = "") -> None:
    """Keep the recipe under a name of its own; for callbacks, whose button is off when the tray is full."""
    st.session_state[key(pool)] = with_arm(arms(pool), recipe, name)


def remove(pool: Pool, name: str) -> None:
    """Take one arm out; the others keep their colours."""
    st.session_state[key(pool)] = tuple(arm for arm in arms(pool) if arm.name != name)


def with_arm(held: Sequence[Arm], recipe: Recipe, name: str = "") -> tuple[Arm, ...]:
    """The arms and one more, named by strategy and budget where no name is given; unchanged when full."""
    if len(held) >= MOST or any(arm.recipe == recipe for arm in held):
        return tuple(held)
    slot = min(set(range(MOST)) - {arm.slot for arm in held})
    wanted = name.strip() or f"{title(recipe.strategy)}, {recipe.budget.words}"
    taken, unique, number = {arm.name for arm in held}, wanted, 2
    while unique in taken:
        unique, number = f"{wanted} ({number})", number + 1
    return (*held, Arm(unique, recipe, slot))
