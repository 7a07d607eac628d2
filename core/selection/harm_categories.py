"""What the samplers of harm categories share: who may be taken, which category is next, what is said aloud.

Pham et al., "How to Fine-Tune Safely on a Budget" (arXiv:2510.21885), from the behaviour of the authors'
public code; our choices for its edge cases (behaviour-and-prism 2.4). "-B" as a T1 filter is inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.allocation import Counts
from core.selection.base import Candidates, Ledger, Picked
from core.selection.draw import NOBODY, Choose, Draw, counts_for, first_group
from core.selection.reasons import Reasons
from core.values import Params, Rows

LISTED = 8  # names in a warning, before it is too long to be read


class CategoryParams(Params):
    """Which rows form the pool, and what happens to rows that categories cannot fill."""

    t1_only: bool = Field(
        False, description="Only harmful requests that are refused (T1): the behaviour-aware form, -B."
    )
    fill: Literal["water_fill", "paper"] = Field(
        "water_fill",
        description="Unfilled shares go row by row to the smallest categories that still have rows, or, "
        "as in the authors' code, to rows of the whole pool whatever their category.",
    )


def behaviour_needs(params: CategoryParams) -> tuple[str, ...]:
    """The T1 filter reads behaviour types."""
    return ("column:behaviour",) if params.t1_only else ()


def safety_pool(candidates: Candidates, t1_only: bool = False) -> NDArray[np.bool_]:
    """(n,) rows that safety samplers may use: not banned, not blocked, behaviour readable (2.2)."""
    pool = candidates.usable
    if candidates.blocked is not None:
        pool &= ~candidates.blocked
    if candidates.behaviour is not None:
        pool &= candidates.behaviour == "T1" if t1_only else candidates.behaviour != "unparsed"
    return pool


def rarest_first(members: Sequence[Rows]) -> list[int]:
    """Indices of the non-empty `members` by ascending size; ties by first appearance in the pool."""
    there = [c for c, rows in enumerate(members) if len(rows)]
    return sorted(there, key=lambda c: (len(members[c]), members[c][0]))


@dataclass(frozen=True)
class Harms:
    """The categories that a sampler draws for, in the order in which they draw."""

    pool: NDArray[np.bool_]  # (n,) rows that may be taken, pins included
    columns: Rows  # (k,) number of each category among the candidates' category names
    members: list[Rows]  # of each its rows in the pool, ascending
    first: Rows  # (n,) the category, 0..k-1, that a row counts for until another draws it; NOBODY for none

    @classmethod
    def of(cls, candidates: Candidates, t1_only: bool) -> Harms:
        """The candidates' own categories, rarest first; a row counts for its rarest."""
        assert candidates.categories is not None  # declared in needs, checked by select()
        pool = safety_pool(candidates, t1_only)
        everyone = [np.flatnonzero(column & pool) for column in candidates.categories.T]
        columns = rarest_first(everyone)
        members = [everyone[c] for c in columns]
        return cls(pool, np.array(columns, dtype=np.int64), members, first_group(members, candidates.n))

    def held(self, pins: Rows) -> Counts:
        """(k,) pins that count for each category."""
        return counts_for(self.first, pins, len(self.columns))

    def number(self, by: Rows) -> Rows:
        """Categories 0..k-1 as numbers among the candidates' category names; NOBODY stays."""
        return np.append(self.columns, NOBODY)[by]


def sample_evenly(
    candidates: Candidates,
    budget: int,
    params: CategoryParams,
    harms: Harms,
    choose: Choose,
    score: NDArray[np.float64] | None = None,
    said: tuple[str, ...] = (),
) -> Picked:
    """SSS and PSS: an equal share for each category, its deficit by `params.fill`, then any row (2.4).

    `choose` picks inside a category; `score` (n, k) is what it goes by, or None where it draws at random.
    """
    k, total = len(harms.columns), budget + len(candidates.taken)
    draw = Draw(harms.members, harms.pool & ~candidates.pinned, harms.held(candidates.taken), choose)
    if params.fill == "paper":
        draw.shares(np.full(k, total // max(k, 1)), budget)
    else:
        draw.level(budget)
    draw.spill(budget)

    rows, by = draw.rows, draw.by
    group = harms.first.copy()
    group[rows] = by
    value = None if score is None else _own(score, group)
    short = budget - len(rows)
    return Picked(
        rows,
        category_reasons(candidates.category_names, harms.number(by), None if value is None else value[rows]),
        short,
        said + _even_warnings(candidates, params, harms, total, short),
        ledger=category_ledger(
            candidates, params, candidates.category_names, harms.pool, harms.number(group), value
        ),
    )


def _own(score: NDArray[np.float64], group: Rows) -> NDArray[np.float64]:
    """(n,) each row's score (n, k) for its own group; a row of no group has none, NaN."""
    value, rows = np.full(len(group), np.nan), np.flatnonzero(group != NOBODY)
    value[rows] = score[rows, group[rows]]
    return value


def category_reasons(names: Sequence[str], number: Rows, score: NDArray[np.float64] | None) -> Reasons:
    """Why each row was drawn: for the category of that `number` (m,), or as spill where it is NOBODY."""
    named = np.array([*names, ""], dtype=object)[number]
    return Reasons(len(number), np.where(number == NOBODY, "spill", "category"), category=named, score=score)


def category_ledger(
    candidates: Candidates,
    params: CategoryParams,
    names: Sequence[str],
    pool: NDArray[np.bool_],
    number: Rows,
    value: NDArray[np.float64] | None,
) -> Ledger:
    """Where each row competed, `number` (n,) of a category, and by which cosine; without one, at random."""
    allowed = "T1 (a harmful request, refused)" if params.t1_only else "of a known behaviour"
    return Ledger(
        group=number,
        group_kind="category",
        group_names=dict(enumerate(names)),
        value=value,
        value_name="" if value is None else "cosine to the category",
        at_random=value is None,
        out=candidates.usable & ~pool,
        out_reason=f"it is not {allowed}, or it is blocked",
    )


def _even_warnings(
    candidates: Candidates, params: CategoryParams, harms: Harms, total: int, short: int
) -> tuple[str, ...]:
    names, k = candidates.category_names, len(harms.columns)
    gaps = [name for i, name in enumerate(names) if i not in set(harms.columns.tolist())]
    random = "all rows are drawn at random"
    rule = random if params.fill == "paper" else "the rarest categories get one row each"
    ours, sizes = [names[c] for c in harms.columns], [len(rows) for rows in harms.members]
    return (
        gap_warning(gaps, params.t1_only)
        + inactive_warning(total, k, rule)
        + shortfall_warning(short, total, params.t1_only)
        + thin_warning("categories", ours, sizes, total // max(k, 1))
    )


def gap_warning(names: Sequence[str], t1_only: bool, kind: str = "categories") -> tuple[str, ...]:
    """Categories, or other labels, that nothing can be drawn for."""
    return (f"no {_which(t1_only)} in {len(names)} {kind}: {listed(names)}",) if names else ()


def inactive_warning(total: int, categories: int, rule: str) -> tuple[str, ...]:
    """A budget below the number of categories cannot be shared among them (2.5)."""
    if not 0 < total < categories:
        return ()
    return (f"stratification is inactive: {total:,} rows for {categories} categories, so {rule}",)


def thin_warning(kind: str, names: Sequence[str], sizes: Sequence[int], share: int) -> tuple[str, ...]:
    """Groups, rarest first, that have fewer rows than an equal share asks of them."""
    thin = [f"{name} has {size}" for name, size in zip(names, sizes, strict=True) if size < share]
    if not thin:
        return ()
    return (f"an equal share is {share:,} rows, and {len(thin)} {kind} have fewer: {listed(thin)}",)


def listed(names: Sequence[str]) -> str:
    """The names, or the first of too many."""
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*names[:LISTED], *more])


def shortfall_warning(short: int, total: int, t1_only: bool) -> tuple[str, ...]:
    """The pool has fewer rows than the budget."""
    if not short:
        return ()
    there = f"only {total - short:,} {_which(t1_only)} are there"
    never = ", and the -B form never takes T2, T3 or T4 instead" if t1_only else ""
    return (f"{short:,} rows of the budget cannot be filled: {there}{never}",)


def _which(t1_only: bool) -> str:
    return "T1 rows" if t1_only else "usable rows"
