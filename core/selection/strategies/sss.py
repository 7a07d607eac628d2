"""SSS: the same number of safety examples from every harm category; with `t1_only` it is SSS-B.

Pham et al., "How to Fine-Tune Safely on a Budget" (arXiv:2510.21885), sampler of the authors' public code;
our choices for its edge cases (behaviour-and-prism 2.4). "-B" as a T1 filter is inferred.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.allocation import beyond, category_fill
from core.selection.base import Candidates, Picked, strategy
from core.values import Params, Reason, Reporter, Rows

NOBODY = -1  # category of a row that no category picked


class SSSParams(Params):
    """Which rows form the pool, and what happens to rows that categories cannot fill."""

    t1_only: bool = Field(
        False, description="Only harmful requests that are refused (T1): the behaviour-aware form, SSS-B."
    )
    fill: Literal["water_fill", "paper"] = Field(
        "water_fill",
        description="Unfilled shares go row by row to the smallest categories that still have rows, or, "
        "as in the authors' code, to rows drawn at random from the whole pool.",
    )


def _needs(params: SSSParams) -> tuple[str, ...]:
    return ("column:category", "column:behaviour") if params.t1_only else ("column:category",)


@strategy(title="Stratified safety sampling (SSS)", source="arXiv:2510.21885, authors' code", needs=_needs)
def sss(
    candidates: Candidates, budget: int, params: SSSParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Draw each category's share, rarest category first; a row counts once, for the category that drew it.

    Blocked rows and rows whose behaviour could not be parsed are never taken. Too few rows give a shortfall:
    SSS-B never spills into T2, T3 or T4.
    """
    assert candidates.categories is not None  # declared in needs, checked by select()
    pool = _pool(candidates, params.t1_only)
    member = candidates.categories & pool[:, None]
    order = _rarest_first(member)
    draw = _Draw(member[:, order], pool & ~candidates.pinned, candidates.taken, rng)
    total = budget + len(candidates.taken)
    if params.fill == "paper":
        draw.shares(np.full(len(order), total // max(len(order), 1)), budget)
    else:
        draw.level(budget)
    draw.spill(budget)

    picker = [order[c] if c != NOBODY else NOBODY for c in draw.picker]
    names = candidates.category_names
    reasons = [
        Reason(role="spill") if c == NOBODY else Reason(role="category", category=names[c]) for c in picker
    ]
    said = _warnings(candidates, params, order, total, budget - len(draw.rows))
    return Picked(np.array(draw.rows, dtype=np.int64), reasons, budget - len(draw.rows), said)


def _pool(candidates: Candidates, t1_only: bool) -> NDArray[np.bool_]:
    """(n,) rows that safety samplers may use."""
    pool = candidates.usable
    if candidates.blocked is not None:
        pool &= ~candidates.blocked
    if candidates.behaviour is not None:
        pool &= candidates.behaviour == "T1" if t1_only else candidates.behaviour != "unparsed"
    return pool


def _rarest_first(member: NDArray[np.bool_]) -> Rows:
    """Columns with a member, by ascending size; ties by first appearance in the pool."""
    sizes = member.sum(axis=0)
    order = np.lexsort((member.argmax(axis=0), sizes))
    return np.array([column for column in order if sizes[column] > 0], dtype=np.int64)


class _Draw:
    """Rows drawn so far; columns of `member` are categories, rarest first."""

    def __init__(
        self, member: NDArray[np.bool_], free: NDArray[np.bool_], pins: Rows, rng: np.random.Generator
    ) -> None:
        self.member, self.free, self.rng = member, free.copy(), rng
        self.rows: list[int] = []
        self.picker: list[int] = []  # column that drew the row, NOBODY for spill
        credited = member[pins].argmax(axis=1)[member[pins].any(axis=1)] if member.shape[1] else pins[:0]
        self.held = np.bincount(credited, minlength=member.shape[1])  # pins count for their rarest category

    def take(self, rows: Rows, count: int, column: int) -> int:
        """Draw `count` of `rows` (all, when fewer), credited to `column`; returns how many."""
        drawn = rows if len(rows) <= count else self.rng.choice(rows, count, replace=False)
        self.rows += drawn.tolist()
        self.picker += [column] * len(drawn)
        self.free[drawn] = False
        return len(drawn)

    def shares(self, quota: NDArray[np.int64], budget: int) -> None:
        """The authors' rule: each category up to its quota, once."""
        for column in range(self.member.shape[1]):
            want = min(int(quota[column] - self.held[column]), budget - len(self.rows))
            if want > 0:
                self.take(np.flatnonzero(self.member[:, column] & self.free), want, column)

    def level(self, budget: int) -> None:
        """Our rule: fill categories evenly; what overlap took from one is shared out again."""
        held = self.held.copy()
        while len(self.rows) < budget:
            open_rows = (self.member & self.free[:, None]).sum(axis=0)
            quota = beyond(category_fill, held + open_rows, budget - len(self.rows), held)
            if not quota.any():
                return
            for column in np.flatnonzero(quota):
                rows = np.flatnonzero(self.member[:, column] & self.free)
                held[column] += self.take(rows, int(quota[column]), int(column))

    def spill(self, budget: int) -> None:
        """Fill up from the whole pool, category or not."""
        if len(self.rows) < budget:
            self.take(np.flatnonzero(self.free), budget - len(self.rows), NOBODY)


def _warnings(
    candidates: Candidates, params: SSSParams, order: Rows, total: int, shortfall: int
) -> tuple[str, ...]:
    said = []
    which = "T1 rows" if params.t1_only else "usable rows"
    gaps = [n for i, n in enumerate(candidates.category_names) if i not in set(order.tolist())]
    if gaps:
        said.append(f"no {which} in {len(gaps)} categories: {', '.join(gaps)}")
    if 0 < total < len(order):
        rule = (
            "all rows are drawn at random"
            if params.fill == "paper"
            else "the rarest categories get one row each"
        )
        said.append(f"stratification is inactive: {total} rows for {len(order)} categories, so {rule}")
    if shortfall:
        said.append(
            f"{shortfall} rows of the budget cannot be filled: only {total - shortfall} {which} are there"
            + (", and SSS-B never takes T2, T3 or T4 instead" if params.t1_only else "")
        )
    return tuple(said)
