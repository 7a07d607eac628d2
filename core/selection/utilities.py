"""Utilities: what SAPS, CCS, behaviour types and scores find useful, each as a number in [0, 1] per row.

Winnow definitions. Each is a rank, so that a weight means the same for all of them. They are kept for the
candidates, so that another weight costs one sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.base import Candidates
from core.selection.boundary import BoundaryParams, geometry, priority
from core.selection.grouping import by_label, turns
from core.selection.strata import OUTSIDE, StrataParams, stratify
from core.statistics.ranking import ranks
from core.values import BEHAVIOURS, Params

Utility = NDArray[np.floating[Any]]  # (n,), 0 to 1, higher is taken earlier


class TypeWorths(Params):
    """What each behaviour type is worth."""

    t1: float = Field(1.0, ge=0.0, le=1.0, description="Worth of T1: harmful request, refused.")
    t2: float = Field(0.5, ge=0.0, le=1.0, description="Worth of T2: harmful request, answered safely.")
    t3: float = Field(0.25, ge=0.0, le=1.0, description="Worth of T3: harmless request, answered.")
    t4: float = Field(0.0, ge=0.0, le=1.0, description="Worth of T4: harmless request, refused.")


def saps_utility(candidates: Candidates, params: BoundaryParams) -> Utility:
    """1 for the row of each cluster that SAPS would take first, falling evenly to 1 / size for its last."""
    geo = geometry(candidates, params)
    return candidates.once(
        ("saps utility", params.clusters, params.space, params.boundary, params.rho),
        lambda: priority(geo, candidates.usable, params.rho)[0],
    )


def ccs_utility(candidates: Candidates, params: StrataParams, rng: np.random.Generator) -> Utility:
    """How early a row comes when strata take turns: its rank from the end, 0 for the hardest tail.

    Rows of one round, the first of every stratum, then the second of every stratum ..., share their mean
    rank; inside a stratum, where CCS draws at random, `rng` decides.
    """
    strata = stratify(candidates, params)

    def make() -> Utility:
        order = rng.permutation(np.flatnonzero(strata.bins != OUTSIDE))
        order = order[by_label(strata.bins[order])]
        utility = np.zeros(candidates.n)
        utility[order] = ranks(-turns(strata.bins[order])) / max(len(order), 1)
        return utility

    what = (params.score, params.strata, params.beta, params.binning)
    return candidates.once(("ccs utility", *what, *_drawn_by(rng)), make)


def _drawn_by(rng: np.random.Generator) -> tuple[int, int]:
    """What decides all that a generator will draw."""
    state: Any = rng.bit_generator.state
    return state["state"]["state"], state["state"]["inc"]


def behaviour_utility(candidates: Candidates, params: TypeWorths) -> Utility:
    """The worth of each row's type, 0 where it has none."""
    worth = np.array([params.t1, params.t2, params.t3, params.t4, 0.0])
    return worth[behaviour_types(candidates)]


def has_type(candidates: Candidates) -> NDArray[np.bool_]:
    """(n,) rows with a behaviour type whose text may be trained toward."""
    known = behaviour_types(candidates) < len(BEHAVIOURS)
    return known if candidates.blocked is None else known & ~candidates.blocked


def behaviour_types(candidates: Candidates) -> NDArray[np.int8]:
    """(n,) 0 to 3 for T1 to T4, 4 for none."""

    def make() -> NDArray[np.int8]:
        code = np.full(candidates.n, len(BEHAVIOURS), dtype=np.int8)
        for place, name in enumerate(BEHAVIOURS):
            code[candidates.behaviour == name] = place
        return code

    return candidates.once("behaviour types", make)


def score_utility(candidates: Candidates, name: str, *, low: bool) -> Utility:
    """Mean rank of a usable row's score over the number of rows that have one; 0 for rows that lack it.

    1 is the highest score, or the lowest where `low`.
    """

    def make() -> Utility:
        values = np.asarray(candidates.scores[name].values, dtype=np.float64)
        scored = candidates.usable & ~np.isnan(values)
        utility = np.zeros(candidates.n)
        utility[scored] = ranks(-values[scored] if low else values[scored]) / max(int(scored.sum()), 1)
        return utility

    return candidates.once(("score utility", name, low), make)


def unscored(candidates: Candidates, name: str) -> int:
    """Usable rows that lack a score."""
    return int((np.isnan(candidates.scores[name].values) & candidates.usable).sum())
