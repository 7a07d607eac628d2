"""Cossim: for every harm category the rows most like its reference rows; with `t1_only` it is Cossim-B.

Pham et al., "How to Fine-Tune Safely on a Budget" (arXiv:2510.21885), sampler of the authors' public code,
which credits Safe-Embed; our choices for its edge cases (behaviour-and-prism 2.4). "-B" as a T1 filter is
inferred. The code's optional normalisation of cosines cannot change the choice and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import MissingInput
from core.selection.allocation import beyond, category_fill
from core.selection.base import Candidates, Ledger, Picked, Reference, strategy
from core.selection.distance import unit
from core.selection.draw import NOBODY, Draw, counts_for
from core.selection.harm_categories import (
    CategoryParams,
    behaviour_needs,
    category_ledger,
    inactive_warning,
    listed,
    safety_pool,
    shortfall_warning,
)
from core.selection.prototypes import likeness, zero_warning
from core.selection.ranking import best
from core.selection.reasons import Reasons
from core.values import Reporter, Rows


class CossimParams(CategoryParams):
    """Which rows form the pool, what is compared, and who gets what equal shares leave."""

    fill: Literal["water_fill", "paper"] = Field(
        "water_fill",
        description="Rows beyond equal shares: one more for the categories whose next row scores best, or, "
        "as in the authors' code, the best of the whole pool whatever their category; what that code takes "
        "beyond the budget is cut, lowest scores first.",
    )
    text: Literal["prompt", "prompt+response"] = Field(
        "prompt+response", description="Text whose vectors are compared; the authors compare both parts."
    )


def _needs(params: CossimParams) -> tuple[str, ...]:
    space = f"embedding@{params.text}"
    return (f"vectors:{space}", f"reference:{space}", *behaviour_needs(params))


@dataclass(frozen=True)
class Targets:
    """What the reference says of each category that can be drawn for."""

    names: tuple[str, ...]  # all categories there are
    columns: Rows  # (k,) number among `names` of those with reference rows
    directions: NDArray[np.float64]  # (k, d) mean of their unit vectors: a row's mean cosine is one product
    zero: NDArray[np.bool_]  # reference rows used whose vector is zero

    @property
    def lacking(self) -> list[str]:
        """Categories without a reference row."""
        return [name for i, name in enumerate(self.names) if i not in set(self.columns.tolist())]


@strategy(title="Reference similarity (Cossim)", source="arXiv:2510.21885, authors' code", needs=_needs)
def cossim(
    candidates: Candidates, budget: int, params: CossimParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """An equal share for each category, in column order, by mean cosine to the category's reference rows.

    Reference rows are those with exactly one category that the pool has too (any, where the pool has none).
    A category may draw every row of the pool, whatever its label; a row counts once. Ties go to the lower
    row. A pin counts for the category it is most like. Blocked rows and rows whose behaviour could not be
    parsed are never taken, nor by Cossim-B others than T1. Raises MissingInput when no reference row fits.
    """
    space = f"embedding@{params.text}"
    targets = candidates.once(
        ("cossim targets", space), lambda: find_targets(candidates, candidates.references[space])
    )
    score, zero = candidates.once(
        ("cossim", space), lambda: likeness(candidates.vectors[space], targets.directions)
    )
    pool, nearest = safety_pool(candidates, params.t1_only), score.argmax(axis=1)
    draw = _draw(candidates, params, score, pool, nearest, budget)

    rows, by = draw.rows, draw.by
    category = np.where(by == NOBODY, nearest[rows], by)
    value = score[rows, category]
    kept = np.sort(np.lexsort((rows, -value))[:budget])  # only the authors' rule takes more
    rows, by, category, value = rows[kept], by[kept], category[kept], value[kept]
    role = np.where(by == NOBODY, "spill", "category")
    group = nearest.copy()
    group[rows] = category
    names, short = np.array(targets.names, dtype=object), budget - len(rows)
    total = budget + len(candidates.taken)
    return Picked(
        rows,
        Reasons(len(rows), role, category=names[targets.columns[category]], score=value),
        short,
        _warnings(params, targets, total, short, draw.count - len(rows)) + zero_warning(zero & pool, "rows"),
        ledger=_ledger(candidates, params, targets, pool, group, score),
    )


def _ledger(
    candidates: Candidates,
    params: CossimParams,
    targets: Targets,
    pool: NDArray[np.bool_],
    group: Rows,
    score: NDArray[np.float64],
) -> Ledger:
    """A category may draw any row, so every category overlaps with all others."""
    value = score[np.arange(candidates.n), group]
    ledger = category_ledger(candidates, params, targets.names, pool, targets.columns[group], value)
    return replace(ledger, overlapping=True)


def _draw(
    candidates: Candidates,
    params: CossimParams,
    score: NDArray[np.float64],
    pool: NDArray[np.bool_],
    nearest: Rows,
    budget: int,
) -> Draw:
    """The rows drawn for each category; by the authors' rule perhaps more than the budget."""
    k = score.shape[1]
    held = counts_for(np.where(pool, nearest, NOBODY), candidates.taken, k)

    def choose(rows: Rows, count: int, category: int) -> Rows:
        column = nearest[rows] if category == NOBODY else category
        return best(rows, score[rows, column], count)

    draw = Draw([np.flatnonzero(pool)] * k, pool & ~candidates.pinned, held, choose)
    if params.fill == "paper":
        total = budget + len(candidates.taken)
        draw.shares(np.full(k, max(total // k, 1)), candidates.n)
        draw.spill(budget)
    else:
        _level(draw, score, min(budget, int(draw.free.sum())))
    return draw


def find_targets(candidates: Candidates, reference: Reference) -> Targets:
    """Categories by name: the pool's, or the reference's where the pool has none."""
    names = candidates.category_names or reference.category_names
    single = np.zeros(len(reference), dtype=bool)
    if reference.categories is not None:
        single = reference.categories.sum(axis=1) == 1
    ours = {name: i for i, name in enumerate(reference.category_names)}
    rows = {
        i: np.flatnonzero(single & reference.categories[:, ours[name]])
        for i, name in enumerate(names)
        if name in ours and reference.categories is not None
    }
    rows = {i: found for i, found in rows.items() if len(found)}
    if not rows:
        raise MissingInput(
            f"Cossim compares with reference rows of exactly one harm category; of {len(reference):,} "
            f"reference rows {int(single.sum()):,} have exactly one, and none of them one that the pool "
            "has; choose a reference pool with the same category names"
        )
    hat = unit(reference.vectors, np.float64)
    used = np.concatenate(list(rows.values()))
    return Targets(
        names,
        np.array(list(rows), dtype=np.int64),
        np.stack([hat[found].mean(axis=0) for found in rows.values()]),
        ~hat[used].any(axis=1),
    )


def _level(draw: Draw, score: NDArray[np.float64], budget: int) -> None:
    """As many rows for each category as all can have, then one more for those whose next row scores best."""
    k = len(draw.groups)
    sizes = np.full(k, len(draw.groups[0]))
    floor = int((draw.held + beyond(category_fill, sizes, budget, draw.held)).min())
    draw.shares(np.full(k, floor), budget)
    left, free = budget - draw.count, np.flatnonzero(draw.free)
    pairs = [(row, c) for c in np.flatnonzero(draw.held == floor) for row in best(free, score[free, c], left)]
    pairs.sort(key=lambda pair: (-score[pair], pair))
    for row, category in pairs:
        if draw.count < budget and draw.free[row] and draw.held[category] == floor:
            draw.take(np.array([row]), 1, int(category))


def _warnings(params: CossimParams, targets: Targets, total: int, short: int, over: int) -> tuple[str, ...]:
    said: tuple[str, ...] = ()
    if lacking := targets.lacking:
        said = (
            f"nothing is drawn for {len(lacking)} categories, of which the reference has no row with that "
            f"category alone: {listed(lacking)}",
        )
    if over:
        said += (
            f"the authors' rule takes {total + over:,} rows: the {over:,} with the lowest score are left out",
        )
    rule = "only the best-scoring categories get a row"
    said += inactive_warning(total, len(targets.columns), rule) + shortfall_warning(
        short, total, params.t1_only
    )
    return said + zero_warning(targets.zero, "reference rows")
