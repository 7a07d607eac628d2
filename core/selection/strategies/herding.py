"""Herding: rows whose running mean stays as close as it can to the mean of the pool.

Welling, "Herding Dynamical Weights to Learn", ICML 2009, as a coreset rule: the next row is
argmin ||(t + 1) mu - sum(S) - x|| (selection 9.3; one known port takes the argmax, which is not ported).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.distance import Matrix, blocks, centred, squares
from core.selection.reasons import Reasons
from core.values import Params, Reporter, Rows

CLOSE = 32  # machine epsilons that a product may be off by; nearer rivals are compared in float64
TIE = 1e-12  # float64 distances that differ by less are equal, in lengths of what they were computed from
EVERY = 256  # rows between two reports of progress


class HerdingParams(Params):
    """In which space the mean is followed."""

    space: Literal["embedding", "pca50", "umap10"] = Field(
        "embedding", description="Vector space whose mean is followed."
    )


@strategy(
    title="Herding",
    source="Welling, ICML 2009",
    needs=lambda params: (f"vectors:{params.space}",),
    nested=True,
)
def herding(
    candidates: Candidates, budget: int, params: HerdingParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Add, `budget` times, the row that brings the sum of the chosen closest to their number times the mean.

    Pins count as chosen; banned rows are neither taken nor part of the mean. A reason's score is that
    distance after the row; `trace["mean_gap"]` the distance between the two means. Ties go to the lower row.
    """
    usable = np.flatnonzero(candidates.usable)
    x = candidates.vectors[params.space]
    z = centred(x if len(usable) == candidates.n else x[usable])
    pins = np.searchsorted(usable, candidates.taken)
    rows, gap, last = follow_mean(z, pins, budget, reporter)
    value = np.full(candidates.n, -np.inf)
    value[usable] = -last
    return Picked(
        usable[rows],
        Reasons(len(rows), "herding", score=gap[len(pins) :]),
        trace={"mean_gap": gap / np.arange(1, len(gap) + 1)},
        ledger=Ledger(
            value=value, value_name="minus the distance from what the mean still lacks", spent=True
        ),
    )


def follow_mean(
    z: Matrix, seeds: Rows, count: int, reporter: Reporter
) -> tuple[Rows, NDArray[np.float64], NDArray[np.float64]]:
    """Add `count` rows of z (n, d) to `seeds`, each the nearest to what the sum of the chosen then lacks.

    With t rows chosen that is goal = (t + 1) mean - sum. Returns (picked (count,), gap (len(seeds) + count,):
    the length of t mean - sum after each seed and picked row, last (n,): the distance of each row from the
    last goal). One product of z and a vector per row.
    """
    size, mean = squares(z), z.mean(axis=0, dtype=np.float64)
    taken = np.zeros(len(z), dtype=bool)
    goal, gap = mean.copy(), np.empty(len(seeds) + count)
    order = np.concatenate([seeds, np.empty(count, dtype=np.int64)])
    for t in range(len(order)):
        if t % EVERY == 0:
            reporter.progress(t, len(order), "rows")
        if t >= len(seeds):
            order[t] = _nearest(z, size, goal, taken)
        taken[order[t]] = True
        goal -= z[order[t]]
        gap[t] = np.linalg.norm(goal)
        goal += mean
    return order[len(seeds) :], gap, _distances(z, goal)


def _offsets(z: Matrix, size: Matrix, goal: NDArray[np.float64]) -> Matrix:
    """(n,) squared distance of each row from the goal, less the goal's squared length, the same for all."""
    product: Matrix = z @ (-2 * goal).astype(z.dtype)
    product += size
    return product


def _distances(z: Matrix, goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) distance of each row from the goal, in float64, without the cancellation of a product."""
    return np.concatenate([np.linalg.norm(z[part] - goal, axis=1) for part in blocks(*z.shape)])


def _nearest(z: Matrix, size: Matrix, goal: NDArray[np.float64], taken: NDArray[np.bool_]) -> int:
    """The row to add; where products are too close to tell, in float64, ties by row."""
    offset = _offsets(z, size, goal)
    offset[taken] = np.inf
    reach = float(np.linalg.norm(goal))
    error = (
        CLOSE * float(np.finfo(z.dtype).eps) * (size + 2 * reach * np.sqrt(size))
    )  # of each row's own size
    rivals = np.flatnonzero(offset - error <= (offset + error).min())
    if len(rivals) == 1:
        return int(rivals[0])
    exact = _distances(z[rivals], goal)
    return int(rivals[np.argmax(exact <= exact.min() + TIE * (reach + float(np.sqrt(size.max()))))])
