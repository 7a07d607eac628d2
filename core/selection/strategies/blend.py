"""Blend: rows by a weighted sum of what SAPS, CCS and behaviour types each find useful.

A Winnow definition. Every part is a utility in [0, 1], so that weights mean the same everywhere: SAPS and CCS
by rank in their own order of taking rows, behaviour by a weight per type.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from core.selection.allocation import group_rows
from core.selection.base import Candidates, Picked, strategy
from core.selection.boundary import BoundaryParams, boundary_needs, geometry, two_ended
from core.selection.strata import StrataParams, check_finite, split_hard_tail, stratum_of
from core.values import BEHAVIOURS, Params, Reason, Reporter

Utility = NDArray[np.float64]  # (n,), 0 to 1, higher is taken earlier


class Weights(Params):
    """How much each part counts; only their proportions matter."""

    saps: float = Field(1.0, ge=0.0, le=1.0, description="Weight of cluster boundaries and centres (SAPS).")
    ccs: float = Field(1.0, ge=0.0, le=1.0, description="Weight of even difficulty coverage (CCS).")
    behaviour: float = Field(1.0, ge=0.0, le=1.0, description="Weight of the behaviour types below.")
    t1: float = Field(1.0, ge=0.0, le=1.0, description="Worth of T1: harmful request, refused.")
    t2: float = Field(0.5, ge=0.0, le=1.0, description="Worth of T2: harmful request, answered safely.")
    t3: float = Field(0.25, ge=0.0, le=1.0, description="Worth of T3: harmless request, answered.")
    t4: float = Field(0.0, ge=0.0, le=1.0, description="Worth of T4: harmless request, refused.")


class BlendParams(StrataParams, BoundaryParams, Weights):
    """Weights, then the settings of the SAPS and CCS parts."""

    @model_validator(mode="after")
    def _some_weight(self) -> BlendParams:
        if self.saps + self.ccs + self.behaviour <= 0:
            raise ValueError("all weights are zero; give saps, ccs or behaviour a weight above 0")
        return self


def _needs(params: BlendParams) -> tuple[str, ...]:
    return (
        (boundary_needs(params) if params.saps else ())
        + ((f"score:{params.score}",) if params.ccs else ())
        + (("column:behaviour",) if params.behaviour else ())
    )


@strategy(title="Blend", source="Winnow definition", needs=_needs, nested=True)
def blend(
    candidates: Candidates, budget: int, params: BlendParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """The free rows with the largest weighted mean utility, ties by row number.

    A reason's score is that total; its shares are the parts of the total and sum to 1. With a behaviour
    weight, rows that are blocked or have no behaviour type are never taken: too few others give a shortfall.
    """
    parts: dict[str, Utility] = {}
    free = candidates.free
    if params.saps:
        parts["saps"] = saps_utility(candidates, params)
    if params.ccs:
        parts["ccs"] = ccs_utility(candidates, params, rng.permutation(candidates.n))
    if params.behaviour:
        parts["behaviour"], known = behaviour_utility(candidates, params)
        free &= known
    weight = np.array([getattr(params, name) for name in parts])
    weight /= weight.sum()
    part = weight[:, None] * np.stack(list(parts.values()))  # (parts, n)
    total = part.sum(axis=0)

    open_rows = np.flatnonzero(free)
    rows = open_rows[np.argsort(-np.round(total[open_rows], 12), kind="stable")[:budget]]
    share = np.where(total > 0, part / np.where(total > 0, total, 1.0), weight[:, None])[:, rows]
    reasons = [
        Reason(
            role="blend", score=float(total[row]), shares=dict(zip(parts, share[:, i].tolist(), strict=True))
        )
        for i, row in enumerate(rows)
    ]
    short = budget - len(rows)
    said = f"{short} rows of the budget cannot be filled: every row with a behaviour type is already taken"
    return Picked(rows, reasons, short, (said,) if short else ())


def saps_utility(candidates: Candidates, params: BoundaryParams) -> Utility:
    """1 for the row of each cluster that SAPS would take first, falling evenly to 1 / size for its last."""
    geo = geometry(candidates, params)
    utility = np.zeros(candidates.n)
    for label, rows in geo.members(candidates.usable).items():
        order, _ = two_ended(geo, label, rows, params.rho)
        utility[order] = 1.0 - np.arange(len(order)) / len(order)
    return utility


def ccs_utility(candidates: Candidates, params: StrataParams, draw: NDArray[np.int64]) -> Utility:
    """0 for the hardest tail; else 1 minus the share of kept rows that come earlier when strata take turns.

    Rows of one round, the first of every stratum, then the second of every stratum ..., are equally useful;
    inside a stratum, where CCS draws at random, the permutation `draw` (n,) decides.
    """
    score = candidates.scores[params.score]
    usable = np.flatnonzero(candidates.usable)
    check_finite(params.score, score, usable)
    kept, _ = split_hard_tail(score.hardness, usable, params.beta)
    utility = np.zeros(candidates.n)
    if len(kept) == 0:
        return utility
    stratum = stratum_of(score.values[kept], min(params.strata, len(kept)), params.binning)
    everyone = np.ones(len(kept), dtype=bool)
    groups = [g[np.argsort(draw[kept[g]])] for g in group_rows(stratum, everyone).values()]
    turn = np.concatenate([np.arange(len(g)) for g in groups])
    earlier = np.searchsorted(np.sort(turn), np.arange(max(len(g) for g in groups)))  # rows in earlier rounds
    utility[kept[np.concatenate(groups)]] = 1.0 - earlier[turn] / len(kept)
    return utility


def behaviour_utility(candidates: Candidates, params: Weights) -> tuple[Utility, NDArray[np.bool_]]:
    """(worth of each row's type, rows that may be taken): blocked and unlabelled rows never."""
    assert candidates.behaviour is not None  # declared in needs, checked by select()
    utility = np.zeros(candidates.n)
    for name, worth in zip(BEHAVIOURS, (params.t1, params.t2, params.t3, params.t4), strict=True):
        utility[candidates.behaviour == name] = worth
    known = np.isin(candidates.behaviour, BEHAVIOURS)
    return utility, known if candidates.blocked is None else known & ~candidates.blocked
