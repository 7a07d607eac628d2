"""SAPS (reconstruction): from every cluster, rows at its boundary and rows at its centre.

Li and Wang, "An Empirical Study of Sample Selection Strategies for Large Language Model Repair"
(arXiv:2510.20428). Only its outline is known; formulas and defaults are ours (selection 2).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.allocation import Allocate, Counts, beyond, proportional, water_fill
from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.boundary import (
    NOISE,
    BoundaryParams,
    Geometry,
    boundary_needs,
    boundary_part,
    edge_share,
    geometry,
    priority,
)
from core.selection.grouping import turns
from core.selection.reasons import Reasons
from core.values import Reporter, Rows


class SAPSParams(BoundaryParams):
    """Which clusters, what a boundary is, and how the budget is shared."""

    allocation: Literal["proportional", "uniform", "sqrt"] = Field(
        "proportional",
        description="Share of each cluster: by its size, equal for all, or by the square root of its size.",
    )


@strategy(
    title="SAPS (reconstruction)",
    source="arXiv:2510.20428, section 2 of our specification",
    label="reconstruction",
    needs=boundary_needs,
)
def saps(
    candidates: Candidates, budget: int, params: SAPSParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Share the budget among clusters, take both ends of each, and let clusters take turns."""
    geo = geometry(candidates, params)
    if geo.identical and candidates.n > 1:
        rows = rng.permutation(np.flatnonzero(candidates.free))[:budget]
        warning = "all vectors are identical: boundary and centre mean nothing, rows were drawn at random"
        ledger = Ledger(at_random=True)
        return Picked(rows, Reasons(len(rows), "random"), warnings=(warning,), ledger=ledger)

    sizes, held = geo.sizes(candidates.usable), geo.sizes(candidates.pinned)
    quota = beyond(_allocate(params), sizes, budget, held)
    edges = boundary_part(edge_share(geo, sizes, params.rho), quota)
    free = candidates.free
    edge, edge_turn = _first(geo, geo.from_edge, free, edges)
    free[edge] = False
    heart, heart_turn = _first(geo, geo.from_heart, free, quota - edges)

    rows = np.concatenate([edge, heart])
    order = _by_turns(geo.group[rows], np.concatenate([2 * edge_turn, 2 * heart_turn + 1]), quota)
    rows, at_edge = rows[order], (np.arange(len(rows)) < len(edge))[order]
    cluster = geo.names[geo.group[rows]]
    role = np.where(cluster == NOISE, "noise", np.where(at_edge, "boundary", "centre"))
    starved = int(((sizes > 0) & (quota + held == 0)).sum())
    warning = f"the budget is too small for {starved} of {int((sizes > 0).sum())} clusters, which have no row"
    return Picked(
        rows,
        Reasons(len(rows), role, cluster=cluster, score=geo.score[rows]),
        warnings=(warning,) if starved else (),
        ledger=_ledger(candidates, params, geo, rows),
    )


def _allocate(params: SAPSParams) -> Allocate:
    """The rule that shares the budget; proportional rules give every cluster a row when they can."""
    if params.allocation == "uniform":
        return water_fill
    if params.allocation == "sqrt":
        return lambda sizes, budget: proportional(sizes, budget, np.sqrt(sizes), at_least=1)
    return lambda sizes, budget: proportional(sizes, budget, at_least=1)


def _first(geo: Geometry, order: Rows, free: NDArray[np.bool_], counts: Counts) -> tuple[Rows, Rows]:
    """The first `counts` (k,) free rows of each cluster in `order`, and the place of each among them."""
    rows = order[free[order]]
    place = turns(geo.group[rows])
    taken = place < counts[geo.group[rows]]
    return rows[taken], place[taken]


def _by_turns(group: Rows, place: Rows, quota: Counts) -> Rows:
    """An order in which clusters take turns, the largest share first, each row by its place in its cluster.

    Boundary rows have even places and centre rows odd ones, so the two alternate.
    """
    inside = np.lexsort((place, group))
    seat = np.empty_like(quota)
    seat[np.argsort(-quota, kind="stable")] = np.arange(len(quota))
    return inside[np.lexsort((seat[group[inside]], turns(group[inside])))]


def _ledger(candidates: Candidates, params: SAPSParams, geo: Geometry, rows: Rows) -> Ledger:
    """Every free row's place in the line of its cluster; noise competes as one cluster more."""
    where = (params.clusters, params.space, params.boundary, params.rho)
    line, _ = candidates.once(("saps line", *where), lambda: priority(geo, candidates.free, params.rho))
    noise = int(geo.names[-1]) + 1
    return Ledger(
        group=np.where(geo.names == NOISE, noise, geo.names)[geo.group],
        group_kind="cluster",
        group_names={noise: "noise"} if geo.names[0] == NOISE else {},
        value=_taken_first(geo, line, candidates.free, rows),
        value_name="priority (boundary and centre rows by turns)",
    )


def _taken_first(
    geo: Geometry, line: NDArray[np.float64], free: NDArray[np.bool_], rows: Rows
) -> NDArray[np.float64]:
    """The line (n,) of each cluster with its taken `rows` in front: where the two ends meet, some are not."""
    taken = np.zeros(len(line), dtype=bool)
    taken[rows] = True
    sizes, counts = geo.sizes(free), geo.sizes(taken)
    place = np.rint((1.0 - line) * sizes[geo.group])
    behind = np.unique(geo.group[taken & (place >= counts[geo.group])])
    if not len(behind):
        return line
    inside = np.flatnonzero(free & np.isin(geo.group, behind))
    order = inside[np.lexsort((place[inside], ~taken[inside], geo.group[inside]))]
    value = line.copy()
    value[order] = 1.0 - turns(geo.group[order]) / sizes[geo.group[order]]
    return value
