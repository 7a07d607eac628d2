"""A budget counted in tokens, turned into as many rows of a strategy's choice as fit into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.errors import BadBudget
from core.selection.base import Candidates, Picked
from core.values import Rows

Pick = Callable[[int], Picked]  # rows to add to the pins -> what a strategy adds


def pick_within_tokens(candidates: Candidates, limit: int, pick: Pick, *, nested: bool) -> Picked:
    """As many rows as `pick` chooses with at most `limit` tokens, those of the pins included.

    A nested strategy's order is cut where the next row would not fit. Of any other, the number of rows is
    found by halving, since another number means other rows: it fits, and one row more does not. Raises
    BadBudget where the pins alone are too long.
    """
    assert candidates.tokens is not None  # declared in needs, checked by select()
    cost = np.asarray(candidates.tokens, dtype=np.int64)
    room = limit - int(cost[candidates.taken].sum())
    if room < 0:
        raise BadBudget(
            f"the {len(candidates.taken)} pinned rows have {limit - room:,} tokens, more than the budget of "
            f"{limit:,}; unpin some or raise the budget"
        )
    most = min(int(candidates.free.sum()), _most(cost[candidates.free], room))
    picked = _cut(pick, cost, room, most) if nested else _halve(pick, cost, room, most)
    short = bool(picked.shortfall)
    if short:  # of a number of rows that we guessed: the person asked for none
        picked = replace(pick(len(picked.rows)), shortfall=0)
    left = room - int(cost[picked.rows].sum())
    return replace(picked, warnings=picked.warnings + _said(candidates, picked, left, short))


def _said(candidates: Candidates, picked: Picked, left: int, short: bool) -> tuple[str, ...]:
    """What a person must know of tokens that stay unspent."""
    rows = len(picked.rows)
    if short:
        return (f"only {rows:,} rows can be taken: {left:,} tokens of the budget are not used",)
    if not rows and candidates.free.any():
        return (f"nothing is selected: the row that comes first has more than {left:,} tokens",)
    return ()


def _most(cost: Rows, room: int) -> int:
    """No more rows than this can fit, whichever they are: the shortest ones first."""
    return int(np.searchsorted(np.cumsum(np.sort(cost)), room, side="right"))


def _cut(pick: Pick, cost: Rows, room: int, most: int) -> Picked:
    """A growing head of the order, until it is too long or all that can fit."""
    mean = max(float(cost.mean()), 1.0)
    ask = min(most, int(1.1 * room / mean) + 1)
    while True:
        picked = pick(ask)
        used = np.cumsum(cost[picked.rows])
        fits = int(np.searchsorted(used, room, side="right"))
        if fits < len(picked.rows):
            return pick(fits)  # warnings and ledger speak of an order's end
        if ask >= most or picked.shortfall:
            return picked
        ask = min(most, 2 * ask)


def _halve(pick: Pick, cost: Rows, room: int, most: int) -> Picked:
    """The best number of rows between one that fits and one that does not.

    A number that a strategy calls too small (its quotas want more) counts as one that fits; where no other
    does, that is the answer.
    """
    low, high = 0, most + 1
    best: Picked | BadBudget = pick(0)
    guess = min(most, int(room / max(float(cost.mean()), 1.0)))
    while high - low > 1:
        middle = guess if low < guess < high else (low + high) // 2
        guess = -1
        try:
            found: Picked | BadBudget = pick(middle)
        except BadBudget as too_small:
            found = too_small
        if isinstance(found, BadBudget) or int(cost[found.rows].sum()) <= room:
            low, best = middle, found
        else:
            high = middle
    if isinstance(best, BadBudget):
        raise best
    return best
