"""Choose which examples of the pool to repair with: signals in, row numbers with reasons out.

Adding a strategy is adding one file to `strategies/`; nothing else changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from core.selection.base import STRATEGIES, Candidates, Picked, Score, StrategySpec
from core.selection.checks import check_budget, check_inputs, check_pins, check_result
from core.values import Params, Reason, Reporter, Silent, settings

__all__ = ["STRATEGIES", "Candidates", "Params", "Picked", "Score", "StrategySpec", "generator", "select"]


def select(
    name: str,
    candidates: Candidates,
    budget: int,
    params: Mapping[str, Any] | Params | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Picked:
    """Run one strategy, with every check made here so that strategies hold only their idea.

    Pinned rows (`candidates.taken`) count inside the budget and come first; banned rows (`allowed` False)
    never come. Where bans leave fewer rows than the budget, the rest is a stated shortfall.
    Raises UnknownName, BadBudget, BadInput and MissingInput; BrokenContract is a strategy's bug.
    """
    spec = STRATEGIES[name]
    given = settings(spec.params, params, f"strategy {name!r}")
    check_pins(candidates)
    check_budget(candidates, budget)
    if budget == 0:
        note = "a budget of 0 rows was asked: nothing is selected"
        return Picked(np.empty(0, dtype=np.int64), (), warnings=(note,))
    check_inputs(spec.title, candidates, spec.needs(given))

    open_budget, left = budget - len(candidates.taken), int(candidates.free.sum())
    within = min(open_budget, left)
    added = Picked(np.empty(0, dtype=np.int64), ())
    if within:
        added = spec.pick(candidates, within, given, generator(seed, name), reporter or Silent())
    check_result(name, candidates, within, added)
    return _with_pins(candidates, added, open_budget - within)


def generator(seed: int, name: str) -> np.random.Generator:
    """The one random generator of a run: PCG64 from the seed and the strategy's name (selection 5.2)."""
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def _with_pins(candidates: Candidates, added: Picked, banned_away: int) -> Picked:
    """The whole selection: pins first, then what the strategy added, and what bans made impossible."""
    pins = np.asarray(candidates.taken, dtype=np.int64)
    warnings = added.warnings
    if banned_away:
        warnings += (
            f"{int((~candidates.usable).sum())} of {candidates.n} eligible rows are banned: "
            f"{banned_away} rows of the budget cannot be filled",
        )
    return replace(
        added,
        rows=np.concatenate([pins, np.asarray(added.rows, dtype=np.int64)]),
        reasons=(*(Reason(role="pin") for _ in pins), *added.reasons),
        shortfall=added.shortfall + banned_away,
        warnings=warnings,
    )
