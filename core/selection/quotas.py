"""Quotas of a blend: how many rows each category, behaviour type or cluster gets, and what is said aloud.

A Winnow definition. A row of several categories counts once, for the one that took it; the rarest takes
first, as in SSS (behaviour-and-prism 2.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from core.errors import BadBudget, BadInput
from core.selection.allocation import Counts, beyond, group_rows, proportional, water_fill
from core.selection.base import Candidates
from core.selection.draw import NOBODY, Choose, Draw, first_group
from core.selection.harm_categories import LISTED, rarest_first
from core.selection.utilities import behaviour_types
from core.values import BEHAVIOURS, Params, Rows

KINDS = {"category": "category", "behaviour": "behaviour type", "kmeans": "cluster", "hdbscan": "cluster"}


class QuotaParams(Params):
    """Which labels get how many rows."""

    quota: Literal["none", "equal", "proportional", "minimum", "custom"] = Field(
        "none",
        description="Rows of each label: an equal share, one by its size, at least `minimum`, or those of "
        "`table`. What a label lacks goes to the others.",
    )
    quota_by: Literal["category", "behaviour", "kmeans", "hdbscan"] = Field(
        "category", description="What labels are: harm categories, behaviour types or clusters."
    )
    minimum: int = Field(10, ge=0, description="Rows that each label gets at least, when quota = minimum.")
    table: dict[str, float] = Field(
        {},
        description="Label and its number of rows, when quota = custom; the rest of the budget by utility.",
        json_schema_extra={"table": "quota_by"},
    )

    @field_validator("table")
    @classmethod
    def _whole_rows(cls, table: dict[str, float]) -> dict[str, float]:
        for label, rows in table.items():
            if rows < 0 or rows != int(rows):
                raise ValueError(f"{label} = {rows:g} is not a number of rows; give 0, 1, 2 ...")
        return table


def quota_needs(params: QuotaParams) -> tuple[str, ...]:
    """What tells the labels of a row."""
    if params.quota == "none":
        return ()
    columns = ("category", "behaviour")
    return (f"{'column' if params.quota_by in columns else 'cluster'}:{params.quota_by}",)


@dataclass(frozen=True)
class Labels:
    """The labels of one kind, and their rows; noise is no label."""

    kind: str
    names: Mapping[int, str]  # number -> name of every label there is
    numbers: Rows  # (k,) of the labels that have a row, rarest first
    members: Sequence[Rows]  # (k) their rows that may be taken, pins included, ascending
    first: Rows  # (n,) 0..k-1, the rarest label of each of those rows, else NOBODY

    @classmethod
    def of(cls, candidates: Candidates, by: str, pool: NDArray[np.bool_]) -> Labels:
        """The labels of the rows in `pool` (n,)."""
        groups, names = _groups(candidates, by, pool)
        numbers = list(groups)
        order = rarest_first(list(groups.values()))
        members = [groups[numbers[place]] for place in order]
        first = first_group(members, candidates.n)
        return cls(KINDS[by], names, np.array(numbers, dtype=np.int64)[order], members, first)

    def number(self, place: Rows) -> Rows:
        """Numbers of labels by their places 0..k-1; NOBODY stays."""
        return np.append(self.numbers, NOBODY)[place]

    def held(self, pins: Rows) -> Counts:
        """(k,) pins that count for each label."""
        credited = self.first[pins]
        return np.bincount(credited[credited != NOBODY], minlength=len(self.numbers))


def _groups(
    candidates: Candidates, by: str, pool: NDArray[np.bool_]
) -> tuple[dict[int, Rows], dict[int, str]]:
    """(number -> rows, number -> name): every label has a name, some no rows."""
    if by == "category":
        assert candidates.categories is not None  # declared in needs, checked by select()
        members = [np.flatnonzero(column & pool) for column in candidates.categories.T]
        return dict(enumerate(members)), dict(enumerate(candidates.category_names))
    if by == "behaviour":
        types = behaviour_types(candidates)
        return group_rows(types, pool & (types < len(BEHAVIOURS))), dict(enumerate(BEHAVIOURS))
    cluster = candidates.clusters[by]
    names = {int(label): str(label) for label in np.unique(cluster[cluster >= 0])}
    return group_rows(cluster, pool & (cluster >= 0)), names


@dataclass(frozen=True)
class Filled:
    """What quotas took."""

    rows: Rows  # in the order they were taken
    by: Rows  # (m,) place of the label that took each, NOBODY for the rest of the budget
    said: tuple[str, ...]


def fill(
    params: QuotaParams, labels: Labels, free: NDArray[np.bool_], pins: Rows, budget: int, choose: Choose
) -> Filled:
    """Rows of every label by its quota, then any free row until the budget is spent; `choose` tells which.

    Pins count for their label. Raises BadInput where a table names no label, BadBudget where it asks for more
    than the budget.
    """
    draw = Draw(labels.members, free, labels.held(pins), choose)
    if params.quota in ("equal", "proportional"):
        even = params.quota == "equal"
        draw.level(budget, water_fill if even else proportional)
        share = (budget + len(pins)) // max(len(labels.numbers), 1) if even else 0
        said = _lacking(labels, dict.fromkeys(labels.names, share), draw, pins)
    else:
        asked = _asked(params, labels)
        quota = _within_budget(params, labels, asked, draw.held, budget)
        draw.shares(quota, budget)
        said = _squeezed(params, labels, quota, pins, budget) or _lacking(labels, asked, draw, pins)
    draw.spill(budget)
    return Filled(draw.rows, draw.by, said)


def _asked(params: QuotaParams, labels: Labels) -> dict[int, int]:
    """Number of a label -> rows that the settings ask of it."""
    if params.quota == "minimum":
        return dict.fromkeys(labels.names, params.minimum)
    number = {name: number for number, name in labels.names.items()}
    unknown = [name for name in params.table if name not in number]
    if unknown:
        raise BadInput(
            f"the quota table names {unknown[0]!r}, which is no {labels.kind} of these rows; there are: "
            f"{_listed(list(number))}"
        )
    return {number[name]: int(rows) for name, rows in params.table.items()}


def _within_budget(
    params: QuotaParams, labels: Labels, asked: Mapping[int, int], held: Counts, budget: int
) -> Counts:
    """(k,) rows each label is to hold; minimums above the budget are shared evenly, a table is refused."""
    wanted = np.array([asked.get(int(number), 0) for number in labels.numbers], dtype=np.int64)
    if params.quota == "custom":
        nobody = sum(asked.values()) - int(wanted.sum())  # asked of labels without a row
        if nobody + int(np.maximum(wanted - held, 0).sum()) > budget:
            raise BadBudget(
                f"the quota table asks for {sum(asked.values()):,} rows, more than the budget of {budget:,} "
                "and the pins that count for it; lower the table or raise the budget"
            )
        return wanted
    goal = np.minimum(wanted, [len(rows) for rows in labels.members])
    return np.asarray(held + beyond(water_fill, goal, budget, held))


def _squeezed(params: QuotaParams, labels: Labels, quota: Counts, pins: Rows, budget: int) -> tuple[str, ...]:
    """Minimums that the budget could not pay for."""
    least = np.array([min(params.minimum, len(rows)) for rows in labels.members], dtype=np.int64)
    if params.quota == "custom" or (quota >= least).all():
        return ()
    asked = f"{params.minimum:,} rows of each {labels.kind}"
    if len(pins):
        more = int(np.maximum(least - labels.held(pins), 0).sum())
        return (
            f"{asked} take {more:,} beside the pins, more than the {budget:,} left of the budget: "
            "these were shared evenly among them",
        )
    return (
        f"{asked} are {int(least.sum()):,} rows together, more than the budget: "
        "it was shared evenly among them",
    )


def _lacking(labels: Labels, asked: Mapping[int, int], draw: Draw, pins: Rows) -> tuple[str, ...]:
    """Labels that got fewer rows than asked of them, and where the others of their rows count."""
    place = {int(number): i for i, number in enumerate(labels.numbers)}
    credit = np.full(len(labels.first), NOBODY)
    credit[pins], credit[draw.rows] = labels.first[pins], draw.by
    thin = []
    for number, count in asked.items():
        name = f"asked {count:,} of {labels.kind} {labels.names[number]}"
        mine = credit[labels.members[place[number]]] if number in place else credit[:0]
        got = int(draw.held[place[number]]) if number in place else 0
        others = int(((mine != NOBODY) & (mine != place.get(number))).sum())
        if len(mine) < count:
            thin.append(f"{name}, it has {len(mine):,}")
        elif got < count and others and got + others == len(mine):
            thin.append(f"{name}, {others:,} of its {len(mine):,} count for others")
        elif got < count:
            thin.append(f"{name}, the pins outside it leave it {got:,}")
    return (_listed(thin, "; "),) if thin else ()


def _listed(words: Sequence[str], between: str = ", ") -> str:
    more = [f"and {len(words) - LISTED} more"] if len(words) > LISTED else []
    return between.join([*words[:LISTED], *more])
