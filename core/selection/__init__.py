"""Choose which examples of the pool to repair with: signals in, row numbers with reasons out.

Adding a strategy is adding one file to `strategies/`; nothing else changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from core.selection.base import (
    STRATEGIES,
    Candidates,
    Ledger,
    Picked,
    Reference,
    Score,
    StrategySpec,
    parse_need,
)
from core.selection.budgets import pick_within_tokens
from core.selection.checks import check_budget, check_inputs, check_pins, check_result
from core.selection.reasons import Reasons, first_of
from core.selection.semdedup import KEPT, dedup_needs, near_duplicates
from core.values import Budget, Params, Recipe, Reporter, Rows, SemDedup, Silent, settings

__all__ = [
    "STRATEGIES",
    "Candidates",
    "Ledger",
    "Params",
    "Picked",
    "Reasons",
    "Reference",
    "Score",
    "StrategySpec",
    "first_of",
    "generator",
    "needs_of",
    "parse_need",
    "select",
]

NOTHING = Picked(np.empty(0, dtype=np.int64), ())


def needs_of(recipe: Recipe) -> tuple[str, ...]:
    """Everything that must be there before the recipe can choose: strategy, filter and budget together."""
    spec = STRATEGIES[recipe.strategy]
    asked = spec.needs(settings(spec.params, recipe.params, f"strategy {recipe.strategy!r}"))
    return tuple(dict.fromkeys(asked + _door_needs(recipe.budget, recipe.dedup)))


def _door_needs(budget: Budget, dedup: SemDedup | None) -> tuple[str, ...]:
    tokens = ("tokens",) if budget.tokens is not None else ()
    return tokens + (dedup_needs(dedup) if dedup else ())


def select(
    name: str,
    candidates: Candidates,
    budget: int | Budget,
    params: Mapping[str, Any] | Params | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
    dedup: SemDedup | None = None,
) -> Picked:
    """Run one strategy, with every check made here so that strategies hold only their idea.

    `budget` is in rows, or in percent or tokens of the candidates. Pinned rows (`candidates.taken`) count
    inside the budget and come first; banned rows (`allowed` False) never come, nor do near-duplicates where
    `dedup` sets them aside. Where these leave fewer rows than the budget, the rest is a stated shortfall.
    Raises UnknownName, BadBudget, BadInput and MissingInput; BrokenContract is a strategy's bug.
    """
    spec = STRATEGIES[name]
    given = settings(spec.params, params, f"strategy {name!r}")
    asked = budget if isinstance(budget, Budget) else Budget(rows=budget)
    check_pins(candidates)
    check_budget(candidates, asked)
    if 0 in (asked.tokens, asked.count(candidates.n)) and not len(candidates.taken):
        return replace(NOTHING, warnings=("a budget of 0 was asked: nothing is selected",))
    check_inputs(spec.title, candidates, spec.needs(given) + _door_needs(asked, dedup))
    twins, open_pool = None, candidates
    if dedup:
        twins, open_pool = candidates.once((dedup, seed), lambda: _without_twins(candidates, dedup, seed))

    def pick(count: int) -> Picked:
        if not count:
            return NOTHING
        return spec.pick(open_pool, count, given, generator(seed, name), reporter or Silent())

    if asked.tokens is not None:
        added = pick_within_tokens(open_pool, asked.tokens, pick, nested=spec.nested(given))
        open_budget = within = len(added.rows) + added.shortfall
    else:
        open_budget = asked.count(candidates.n) - len(candidates.taken)
        within = min(open_budget, int(open_pool.free.sum()))
        added = pick(within)
    check_result(name, open_pool, within, added)
    return _whole(candidates, added, open_budget - within, twins)


def _without_twins(candidates: Candidates, dedup: SemDedup, seed: int) -> tuple[Rows, Candidates]:
    twins = near_duplicates(candidates, dedup, generator(seed, "semdedup"))
    return twins, replace(candidates, allowed=candidates.usable & (twins == KEPT))


def generator(seed: int, name: str) -> np.random.Generator:
    """The one random generator of a run: PCG64 from the seed and the strategy's name (selection 5.2)."""
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def _whole(candidates: Candidates, added: Picked, missing: int, twins: Rows | None) -> Picked:
    """The whole selection: pins first, then what the strategy added, and what could not be filled."""
    pins = np.asarray(candidates.taken, dtype=np.int64)
    reasons = added.reasons
    if len(pins):
        reasons = (*Reasons(len(pins), "pin"), *reasons)
    return replace(
        added,
        rows=np.concatenate([pins, np.asarray(added.rows, dtype=np.int64)]),
        reasons=reasons,
        shortfall=added.shortfall + missing,
        warnings=added.warnings + _closed(candidates, missing, twins),
        stands_for=twins,
    )


def _closed(candidates: Candidates, missing: int, twins: Rows | None) -> tuple[str, ...]:
    """Why `missing` rows of the budget had no row to take."""
    if not missing:
        return ()
    parts = []
    if banned := int((~candidates.usable).sum()):
        parts.append(f"{banned:,} of {candidates.n:,} eligible rows are banned")
    if twins is not None:
        parts.append(f"{int((twins != KEPT).sum()):,} are set aside as near-duplicates")
    return (f"{' and '.join(parts)}: {missing:,} rows of the budget cannot be filled",)
