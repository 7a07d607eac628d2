"""Draws rows from groups that may overlap: a row counts once, for the group that drew it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.selection.allocation import Allocate, Counts, beyond, category_fill
from core.values import Rows

NOBODY = -1  # group of a row that no group drew

Choose = Callable[[Rows, int, int], Rows]  # (free rows, ascending; how many; group) -> those taken, in order


def at_random(rng: np.random.Generator) -> Choose:
    """Rows of a group drawn uniformly without replacement; all of them, in row order, when there are few."""
    return lambda rows, count, group: rows if len(rows) <= count else rng.choice(rows, count, replace=False)


def first_group(groups: Sequence[Rows], n: int) -> Rows:
    """(n,) the first group that each row is in, or NOBODY: where a row that nobody drew is counted."""
    first = np.full(n, NOBODY)
    for group in reversed(range(len(groups))):
        first[groups[group]] = group
    return first


def counts_for(first: Rows, pins: Rows, k: int) -> Counts:
    """(k,) pins that count for each group, where `first` (n,) says which."""
    credited = first[pins]
    return np.bincount(credited[credited != NOBODY], minlength=k).astype(np.int64)


class Draw:
    """Rows drawn so far. `groups` are their rows, ascending; groups draw in the order they are given in."""

    def __init__(self, groups: Sequence[Rows], free: NDArray[np.bool_], held: Counts, choose: Choose) -> None:
        self.groups, self.free, self.choose = groups, free.copy(), choose
        self.held = held.copy()  # (groups,) rows that count for each group already: pins, then drawn ones
        self.count = 0
        self._rows: list[Rows] = [np.empty(0, dtype=np.int64)]
        self._by: list[int] = [NOBODY]

    @property
    def rows(self) -> Rows:
        """All rows drawn, in order."""
        return np.concatenate(self._rows).astype(np.int64)

    @property
    def by(self) -> Rows:
        """The group that drew each row, or NOBODY."""
        return np.repeat(np.array(self._by), [len(rows) for rows in self._rows])

    def take(self, rows: Rows, count: int, group: int) -> None:
        """Take at most `count` of the free `rows`, for `group`."""
        drawn = self.choose(rows, count, group)
        self._rows.append(drawn)
        self._by.append(group)
        self.free[drawn] = False
        self.count += len(drawn)
        if group != NOBODY:
            self.held[group] += len(drawn)

    def shares(self, quota: Counts, budget: int) -> None:
        """Every group up to its quota, once: what a group lacks is not made good."""
        for group in range(len(self.groups)):
            want = min(int(quota[group] - self.held[group]), budget - self.count)
            if want > 0:
                self.take(self._open(group), want, group)

    def level(self, budget: int, allocate: Allocate = category_fill) -> None:
        """Every group its allocated share; what overlap took from a group is shared out again."""
        while self.count < budget:
            sizes = self.held + np.array(
                [len(self._open(g)) for g in range(len(self.groups))], dtype=np.int64
            )
            quota = beyond(allocate, sizes, budget - self.count, self.held)
            if not quota.any():
                return
            for group in np.flatnonzero(quota):
                self.take(self._open(int(group)), int(quota[group]), int(group))

    def spill(self, budget: int) -> None:
        """Fill up from all free rows, in a group or not."""
        if self.count < budget:
            self.take(np.flatnonzero(self.free), budget - self.count, NOBODY)

    def _open(self, group: int) -> Rows:
        rows = self.groups[group]
        return rows[self.free[rows]]
