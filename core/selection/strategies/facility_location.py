"""Facility location: rows so that every row of the pool has a similar one among those chosen.

f(S) = sum over all rows of the similarity to the most similar chosen row (Wei, Iyer and Bilmes,
"Submodularity in Data Subset Selection and Active Learning", ICML 2015), chosen greedily: at least 1 - 1/e
of the best value there is (selection 9.2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.coverage import DENSE_ROWS, NEIGHBOURS, Similarity, Sparse, cover, square
from core.selection.distance import Matrix, unit
from core.selection.farthest import first_of_equals
from core.selection.kernels import Kernel, Space, features, neighbours
from core.selection.reasons import Reasons
from core.values import Params, Reporter, Rows


class FacilityLocationParams(Params):
    """What similar means, and how many similarities are kept."""

    kernel: Kernel = Field(
        "cos01",
        description="Similarity: cos01 is (1 + cosine) / 2; cos is the cosine, below 0 counts as 0.",
    )
    space: Space = Field("embedding", description="Vector space that is covered.")
    neighbours: int = Field(
        0,
        ge=0,
        description="Nearest rows each row is compared with, all others count as cosine 0; 0 = automatic: "
        f"all rows up to {DENSE_ROWS:,}, the {NEIGHBOURS} nearest above.",
    )


@strategy(
    title="Facility location",
    source="Wei, Iyer and Bilmes, ICML 2015",
    needs=lambda params: (f"vectors:{params.space}",),
    nested=True,
)
def facility_location(
    candidates: Candidates,
    budget: int,
    params: FacilityLocationParams,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Picked:
    """Take the row that adds most to the similarity of all rows to the chosen ones; pins count as chosen.

    A reason's score is what the row added, `trace["objective"]` the value of f after each row. Banned rows
    are neither taken nor covered. Exact duplicates of chosen rows add nothing: they come last, in row order.
    """
    usable = np.flatnonzero(candidates.usable)
    x = candidates.vectors[params.space][usable]
    points, place = np.unique(first_of_equals(x), return_inverse=True)  # distinct vectors, by lowest row
    held = place[np.searchsorted(usable, candidates.taken)]
    open_points = np.ones(len(points), dtype=bool)
    open_points[held] = False
    count = min(budget, int(open_points.sum()))
    similarity, floor = _similarities(candidates, x[points], np.bincount(place), params, reporter)
    picked, gain, left = cover(similarity, open_points, held, count, reporter)
    gain[0] += floor * len(x)  # what any first row gives

    free = candidates.free[usable]
    free[points[picked]] = False
    copies = np.flatnonzero(free)[: budget - count]  # only where every distinct vector is chosen
    gain = np.concatenate([gain, np.zeros(len(copies))])
    open_points[picked] = False
    value = np.zeros(candidates.n)
    value[usable] = np.where(free & ~open_points[place], 0.0, left[place])  # a copy of a chosen row adds 0
    roles = np.repeat(["covers", "duplicate"], [count, len(copies)])
    return Picked(
        usable[np.concatenate([points[picked], copies])],
        Reasons(budget, roles, score=gain[len(held) :]),
        warnings=_warnings(len(copies)),
        trace={"objective": np.cumsum(gain)},
        ledger=Ledger(value=value, value_name="gain in similarity to all rows", spent=True),
    )


def _similarities(
    candidates: Candidates, x: Matrix, copies: Rows, params: FacilityLocationParams, reporter: Reporter
) -> tuple[Similarity, float]:
    """(similarity of distinct rows x (m, d) above a floor, that floor); each weighs as many as its copies."""
    weight, m = copies.astype(np.float32), len(x)
    k = params.neighbours or (m if m <= DENSE_ROWS else NEIGHBOURS)
    if k >= m - 1:
        return square(features(x, params.kernel), weight), 0.0
    graph = candidates.once(("neighbours", params.space, k), lambda: neighbours(unit(x), k, reporter))
    if params.kernel == "cos":
        return Sparse(graph, graph, weight), 0.0
    half = replace(graph, value=graph.value / 2)  # (1 + cosine) / 2, where it is 1/2 for all that is not near
    return Sparse(half, half, weight), 0.5


def _warnings(copies: int) -> tuple[str, ...]:
    said = f"only exact duplicates were left for the last {copies} rows: they cover nothing new"
    return (said,) if copies else ()
