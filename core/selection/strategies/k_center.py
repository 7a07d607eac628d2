"""K-Center greedy: cover the embedding space with as few examples as the budget allows.

Gonzalez 1985; Sener and Savarese, "Active Learning for CNNs: A Core-Set Approach", ICLR 2018
(arXiv:1708.00489), Algorithm 1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from core.errors import BadInput
from core.selection.base import Candidates, Picked, strategy
from core.selection.distance import Matrix, centred, squares
from core.selection.farthest import farthest_first, first_of_equals
from core.values import Params, Reason, Reporter, Rows


class KCenterParams(Params):
    """Where farthest-first traversal starts, and in which space."""

    start: Literal["medoid", "random", "index"] = Field(
        "medoid",
        description="First row: nearest to the mean, random, or a given row number; pins replace it.",
    )
    index: int = Field(0, ge=0, description="Row number among the eligible rows, when start = index.")
    space: Literal["embedding", "pca50", "umap10"] = Field(
        "embedding", description="Vector space that is covered, by Euclidean distance."
    )


@strategy(
    title="K-Center greedy",
    source="arXiv:1708.00489, Algorithm 1",
    needs=lambda params: (f"vectors:{params.space}",),
    nested=True,
)
def k_center(
    candidates: Candidates, budget: int, params: KCenterParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Take the row farthest from all rows taken so far, `budget` times; pins count as taken.

    A reason's score is the row's distance to those taken before it (none for the start), and
    `trace["radius"]` the covering radius after each row, at most twice the best possible one. Banned rows are
    neither taken nor covered. Exact duplicates of taken rows come last, lowest row first.
    """
    usable = np.flatnonzero(candidates.usable)
    vectors = candidates.vectors[params.space]
    x = centred(vectors if len(usable) == candidates.n else vectors[usable])
    first = first_of_equals(x)
    points = np.flatnonzero(first == np.arange(len(x)))  # each distinct point by its lowest row

    pins = np.searchsorted(usable, candidates.taken)
    seeds = pins if len(pins) else np.array([_start(x, usable, params, rng)])
    here = np.searchsorted(points, first[seeds])
    count = min(budget - (len(seeds) - len(pins)), len(points) - len(np.unique(here)))
    picked, gap, radius = farthest_first(x if len(points) == len(x) else x[points], here, count, reporter)

    rows = np.concatenate([seeds[len(pins) :], points[picked]])
    rest = np.ones(len(x), dtype=bool)
    rest[rows] = rest[pins] = False
    copies = np.flatnonzero(rest)[: budget - len(rows)]
    reasons = [Reason(role="start")] * (len(seeds) - len(pins))
    reasons += [Reason(role="farthest", score=float(g)) for g in gap]
    reasons += [Reason(role="duplicate", score=0.0)] * len(copies)
    trace = {"radius": np.concatenate([radius, np.zeros(len(copies))])}
    return Picked(
        usable[np.concatenate([rows, copies])], reasons, warnings=_warnings(len(copies)), trace=trace
    )


def _start(x: Matrix, usable: Rows, params: KCenterParams, rng: np.random.Generator) -> int:
    """The first row, as a position among the usable ones."""
    if params.start == "random":
        return int(rng.integers(len(x)))
    if params.start == "medoid":
        return int(squares(x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)).argmin())
    place = int(np.searchsorted(usable, params.index))
    if place == len(usable) or usable[place] != params.index:
        raise BadInput(
            f"start row {params.index} is not among the rows that may be taken; give another index"
        )
    return place


def _warnings(copies: int) -> tuple[str, ...]:
    said = f"only exact duplicates were left for the last {copies} rows: they cover nothing new"
    return (said,) if copies else ()
