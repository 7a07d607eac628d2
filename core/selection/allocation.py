"""How a budget is shared among groups (strata, clusters, categories), and in what order groups take turns.

Every function takes group sizes `(k,)` and a number of rows, and returns whole numbers `(k,)` that never
exceed a size and sum to min(budget, all rows).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.values import Rows

Counts: TypeAlias = NDArray[np.int64]
Allocate = Callable[[Counts, int], Counts]


def largest_remainder(budget: int, weights: ArrayLike) -> Counts:
    """Shares of `budget` in proportion to `weights` (k,): whole parts, then the largest remainders.

    Ties of remainders go to the lower index. Knows no sizes: `proportional` adds them.
    """
    share = np.asarray(weights, dtype=np.float64)
    exact = budget * share / share.sum()
    counts: Counts = np.floor(exact + 1e-9).astype(np.int64)  # 1e-9: 3.0 computed as 2.9999999999 is 3
    order = np.argsort(-np.round(exact - counts, 9), kind="stable")
    counts[order[: budget - int(counts.sum())]] += 1
    return counts


def proportional(
    sizes: ArrayLike, budget: int, weights: ArrayLike | None = None, at_least: int = 0
) -> Counts:
    """Largest remainder by `weights` (default: the sizes), capped at the sizes.

    Every non-empty group gets `at_least` rows when the budget can pay for that (selection 2.1).
    """
    caps = np.asarray(sizes, dtype=np.int64)
    share = np.asarray(caps if weights is None else weights, dtype=np.float64)
    counts = np.zeros_like(caps)
    budget = min(budget, int(caps.sum()))
    rest = caps > 0
    while rest.any() and int(counts.sum()) < budget:
        given = largest_remainder(budget - int(counts[~rest].sum()), share[rest])
        over = given > caps[rest]
        counts[rest] = np.minimum(given, caps[rest])
        rest[np.flatnonzero(rest)[over]] = False  # full: what it could not use goes to the others
    floor = np.minimum(caps, at_least)
    if budget >= floor.sum():
        for poor in np.flatnonzero(counts < floor):
            while counts[poor] < floor[poor]:
                counts[int(np.argmax(counts - floor))] -= 1
                counts[poor] += 1
    return counts


def water_fill(sizes: ArrayLike, budget: int) -> Counts:
    """CCS: equal shares, smallest group first; what it cannot use flows to larger ones (selection 7.3).

    Ties of size go by index; whole-number remainders land on the largest groups.
    """
    caps = np.asarray(sizes, dtype=np.int64)
    counts = np.zeros_like(caps)
    left = budget
    for turn, group in enumerate(np.argsort(caps, kind="stable")):
        counts[group] = min(int(caps[group]), left // (len(caps) - turn))
        left -= int(counts[group])
    return counts


def category_fill(sizes: ArrayLike, budget: int) -> Counts:
    """SSS: floor(budget / C) each, then the deficit row by row, smallest first (behaviour-and-prism 2.4).

    C counts the non-empty groups. Each round of the deficit gives one row to every group that still has
    rows, in ascending (size, index). Unlike `water_fill`, remainders land on the smallest groups.
    """
    caps = np.asarray(sizes, dtype=np.int64)
    order = np.argsort(caps, kind="stable")
    order = order[caps[order] > 0]
    budget = min(budget, int(caps.sum()))
    counts = np.zeros_like(caps)
    while (left := budget - int(counts.sum())) > 0:
        hungry = order[counts[order] < caps[order]]
        if left < len(hungry):
            counts[hungry[:left]] += 1
        else:
            counts[hungry] = np.minimum(caps[hungry], counts[hungry] + left // len(hungry))
    return counts


def beyond(allocate: Allocate, sizes: ArrayLike, budget: int, already: ArrayLike) -> Counts:
    """Rows to add to each group so that `already` + added follows `allocate` as closely as it still can.

    `sizes` count the rows already there too. A group that holds more than its share gets nothing, and the
    shares of the others are made again without it.
    """
    caps, held = np.asarray(sizes, dtype=np.int64), np.asarray(already, dtype=np.int64)
    added = np.zeros_like(caps)
    active = np.ones(len(caps), dtype=bool)
    while active.any():
        goal = allocate(caps[active], budget + int(held[active].sum()))
        over = goal < held[active]
        if not over.any():
            added[active] = goal - held[active]
            break
        active[np.flatnonzero(active)[over]] = False
    return added


def group_rows(labels: NDArray[np.integer[Any]], mask: NDArray[np.bool_]) -> dict[int, Rows]:
    """Label -> the masked rows that carry it, ascending; labels ascending. One sort, whatever the number."""
    rows = np.flatnonzero(mask)
    order = rows[np.argsort(labels[rows], kind="stable")]
    values, starts = np.unique(labels[order], return_index=True)
    return (
        {int(v): part for v, part in zip(values, np.split(order, starts[1:]), strict=True)}
        if len(rows)
        else {}
    )


def take_turns(groups: Sequence[Rows]) -> tuple[Rows, NDArray[np.int64]]:
    """All rows, one from each group per round, so that every prefix is balanced; and the group of each."""
    if not groups:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    turn = np.concatenate([np.arange(len(g)) for g in groups])
    order = np.lexsort((group, turn))
    return np.concatenate(groups).astype(np.int64)[order], group[order]
