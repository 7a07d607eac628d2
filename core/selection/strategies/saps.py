"""SAPS (reconstruction): from every cluster, rows at its boundary and rows at its centre.

Li and Wang, "An Empirical Study of Sample Selection Strategies for Large Language Model Repair"
(arXiv:2510.20428). Only its outline is known; formulas and defaults are ours (selection 2).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from core.selection.allocation import Allocate, beyond, proportional, take_turns, water_fill
from core.selection.base import Candidates, Picked, strategy
from core.selection.boundary import (
    NOISE,
    BoundaryParams,
    Geometry,
    boundary_needs,
    boundary_part,
    edge_share,
    geometry,
)
from core.values import Reason, Reporter, Rows


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
        return Picked(rows, [Reason(role="random") for _ in rows], warnings=(warning,))

    everyone, free = geo.members(candidates.usable), candidates.free
    sizes = np.array([len(rows) for rows in everyone.values()], dtype=np.int64)
    opened = [rows[free[rows]] for rows in everyone.values()]
    held = sizes - [len(rows) for rows in opened]
    quota = beyond(_allocate(params), sizes, budget, held)

    boundary = np.zeros(candidates.n, dtype=bool)
    groups: list[Rows] = []
    for i in np.argsort(-quota, kind="stable"):
        label = list(everyone)[i]
        edge, heart = _both_ends(geo, opened[i], int(quota[i]), edge_share(label, int(sizes[i]), params.rho))
        boundary[edge] = True
        groups.append(_alternate(edge, heart))
    rows, _ = take_turns(groups)
    reasons = [_reason(geo, int(r), bool(boundary[r])) for r in rows]
    starved = int(((sizes > 0) & (quota + held == 0)).sum())
    warning = f"the budget is too small for {starved} of {len(sizes)} clusters, which have no row"
    return Picked(rows, reasons, warnings=(warning,) if starved else ())


def _allocate(params: SAPSParams) -> Allocate:
    """The rule that shares the budget; proportional rules give every cluster a row when they can."""
    if params.allocation == "uniform":
        return water_fill
    if params.allocation == "sqrt":
        return lambda sizes, budget: proportional(sizes, budget, np.sqrt(sizes), at_least=1)
    return lambda sizes, budget: proportional(sizes, budget, at_least=1)


def _both_ends(geo: Geometry, rows: Rows, b: int, rho: float) -> tuple[Rows, Rows]:
    """Of one cluster's free rows: round(rho b) from the boundary, then the rest of b from the centre."""
    edge, heart = geo.rank(rows)
    edge = edge[: int(boundary_part(rho, np.array(b)))]
    heart = heart[~np.isin(heart, edge)][: b - len(edge)]
    return edge, heart


def _alternate(edge: Rows, heart: Rows) -> Rows:
    """Boundary and centre by turns, boundary first; what is left of the longer one follows."""
    place = np.concatenate([2 * np.arange(len(edge)), 2 * np.arange(len(heart)) + 1])
    return np.concatenate([edge, heart])[np.argsort(place, kind="stable")]


def _reason(geo: Geometry, row: int, boundary: bool) -> Reason:
    label = int(geo.labels[row])
    role = "noise" if label == NOISE else "boundary" if boundary else "centre"
    return Reason(role=role, cluster=label, score=float(geo.score[row]))
