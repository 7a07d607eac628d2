"""Stratified random: a share of the budget for every category, behaviour, cluster or group, then chance.

A baseline (selection 9.4, 9.5). Equal shares are those of SSS, whose odd rows go to the rarest labels: CCS's
water-fill would give them to the most common ones and starve the rare when the budget is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import MissingInput
from core.selection.allocation import (
    Allocate,
    Counts,
    category_fill,
    group_rows,
    proportional,
    take_turns,
)
from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.boundary import NOISE
from core.selection.draw import NOBODY, Draw, at_random, counts_for, first_group
from core.selection.harm_categories import (
    gap_warning,
    listed,
    rarest_first,
    safety_pool,
    shortfall_warning,
    thin_warning,
)
from core.selection.reasons import Reasons
from core.values import BEHAVIOURS, Params, Reporter, Rows

Label = Literal["category", "behaviour", "kmeans", "hdbscan", "group"]

KIND = {"category": "category", "behaviour": "behaviour type", "group": "group"}  # the others are clusters
HARM = ("category", "behaviour")  # labels whose rows follow the rules of safety samplers


class StratifiedParams(Params):
    """Which label, and how the budget is shared among its values."""

    label: Label = Field(
        "category", description="What strata are: harm categories, behaviour types, clusters, groups."
    )
    allocation: Literal["proportional", "equal", "sqrt"] = Field(
        "proportional",
        description="Share of each stratum: by its size (mirrors the pool), equal for all (unused shares and "
        "odd rows go to the smallest that have rows), or by the square root of its size.",
    )
    unlabelled: Literal["stratum", "last"] = Field(
        "stratum",
        description="Rows without the label: a stratum of their own, or drawn only when labels have no more.",
    )


def _needs(params: StratifiedParams) -> tuple[str, ...]:
    if params.label == "group":
        return ()
    return (f"column:{params.label}" if params.label in HARM else f"cluster:{params.label}",)


@dataclass(frozen=True)
class Strata:
    """The labels that have rows, rarest first."""

    pool: NDArray[np.bool_]  # (n,) rows that may be taken, pins included
    names: list[str]  # (k,)
    members: list[Rows]  # of each its rows in the pool, ascending
    empty: list[str]  # labels that have no row in the pool

    @property
    def sizes(self) -> Counts:
        """(k,) rows of each."""
        return np.array([len(rows) for rows in self.members], dtype=np.int64)


@strategy(title="Stratified random", source="baseline", needs=_needs)
def stratified(
    candidates: Candidates,
    budget: int,
    params: StratifiedParams,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Picked:
    """Share the budget among strata, draw inside each at random, and let strata take turns.

    A row of several categories counts once, for the rarest that drew it; pins count for their rarest. With
    harm categories or behaviour types, blocked rows and rows of unreadable behaviour are never taken, which
    may give a shortfall.
    """
    key = ("stratified", params.label, params.unlabelled)
    strata = candidates.once(key, lambda: find_strata(candidates, params))
    first = first_group(strata.members, candidates.n)
    held = counts_for(first, candidates.taken, len(strata.names))
    draw = Draw(strata.members, strata.pool & ~candidates.pinned, held, at_random(rng))
    draw.level(budget, _allocate(params))
    draw.spill(budget)

    rows, by = draw.rows, draw.by
    first[rows] = by
    places, _ = take_turns(list(group_rows(by, by != NOBODY).values()))
    order = np.concatenate([places, np.flatnonzero(by == NOBODY)])
    rows, by = rows[order], by[order]
    short = budget - len(rows)
    return Picked(
        rows,
        _reasons(candidates, params, strata, rows, by),
        short,
        _warnings(params, strata, draw.held, budget + len(candidates.taken), short),
        ledger=_ledger(candidates, params, strata, first),
    )


def _allocate(params: StratifiedParams) -> Allocate:
    if params.allocation == "equal":
        return category_fill
    if params.allocation == "sqrt":
        return lambda sizes, budget: proportional(sizes, budget, np.sqrt(sizes))
    return proportional


def find_strata(candidates: Candidates, params: StratifiedParams) -> Strata:
    """Every label with its rows, and the rows without one as the settings say."""
    pool = safety_pool(candidates) if params.label in HARM else candidates.usable
    found = _labelled(candidates, params.label, pool)
    blank = pool.copy()
    for _, rows in found:
        blank[rows] = False
    if params.unlabelled == "stratum" and blank.any():
        found.append((f"no {_kind(params.label)}", np.flatnonzero(blank)))
    order = rarest_first([rows for _, rows in found])
    return Strata(
        pool,
        [found[i][0] for i in order],
        [found[i][1] for i in order],
        [name for name, rows in found if not len(rows)],
    )


def _labelled(candidates: Candidates, label: Label, pool: NDArray[np.bool_]) -> list[tuple[str, Rows]]:
    """(label, its rows in the pool), in the label's own order."""
    if label == "category":
        assert candidates.categories is not None  # declared in needs, checked by select()
        columns = zip(candidates.category_names, candidates.categories.T, strict=True)
        return [(name, np.flatnonzero(column & pool)) for name, column in columns]
    if label == "behaviour":
        return [(name, np.flatnonzero(pool & (candidates.behaviour == name))) for name in BEHAVIOURS]
    if label == "group":
        if candidates.group is None:
            raise MissingInput("strata by group were asked, but the pool has no groups; choose another label")
        names, code = np.unique(candidates.group, return_inverse=True)
        return [(str(names[c]), rows) for c, rows in group_rows(code, pool).items()]
    clusters = group_rows(candidates.clusters[label], pool)
    return [(f"cluster {c}", rows) for c, rows in clusters.items() if c != NOISE]


def _kind(label: Label) -> str:
    return KIND.get(label, "cluster")


def _reasons(
    candidates: Candidates, params: StratifiedParams, strata: Strata, rows: Rows, by: Rows
) -> Reasons:
    role = np.where(by == NOBODY, "unlabelled", "stratum")
    if params.label in candidates.clusters:
        return Reasons(len(rows), role, cluster=candidates.clusters[params.label][rows])
    return Reasons(len(rows), role, category=np.array([*strata.names, ""], dtype=object)[by])


def _ledger(candidates: Candidates, params: StratifiedParams, strata: Strata, group: Rows) -> Ledger:
    return Ledger(
        group=group,
        group_kind=_kind(params.label),
        group_names=dict(enumerate(strata.names)),
        at_random=True,
        out=candidates.usable & ~strata.pool,
        out_reason="it is blocked, or its behaviour is unreadable",
    )


def _warnings(
    params: StratifiedParams, strata: Strata, filled: Counts, total: int, short: int
) -> tuple[str, ...]:
    kind = "behaviour types" if params.label == "behaviour" else "categories"
    said = gap_warning(strata.empty, False, kind)
    starved = [name for name, count in zip(strata.names, filled, strict=True) if not count]
    if starved:
        said += (
            f"the budget is too small for {len(starved)} of {len(strata.names)} strata, which have no row: "
            f"{listed(starved)}",
        )
    if params.allocation == "equal":
        said += thin_warning(
            "strata", strata.names, strata.sizes.tolist(), total // max(len(strata.names), 1)
        )
    return said + shortfall_warning(short, total, t1_only=False)
