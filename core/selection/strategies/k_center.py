"""K-Center greedy: cover the embedding space with as few examples as the budget allows.

Gonzalez 1985; Sener and Savarese, "Active Learning for CNNs: A Core-Set Approach", ICLR 2018
(arXiv:1708.00489), Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import BadInput
from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.distance import Matrix, centred, squares
from core.selection.farthest import farthest_first, first_of_equals
from core.selection.outliers import neighbour_distance
from core.selection.ranking import best
from core.selection.reasons import Reasons
from core.selection.strata import tail_size
from core.values import Params, Reporter, Rows


class KCenterParams(Params):
    """Where farthest-first traversal starts, in which space, and what it need not cover."""

    start: Literal["medoid", "random", "index"] = Field(
        "medoid",
        description="First row: nearest to the mean, random, or a given row number; pins replace it.",
    )
    index: int = Field(0, ge=0, description="Row number among the eligible rows, when start = index.")
    space: Literal["embedding", "pca50", "umap10"] = Field(
        "embedding", description="Vector space that is covered, by Euclidean distance."
    )
    ignore_outliers: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="Percent of the rows, those farthest from their 10th nearest row (estimated above 8,192 "
        "rows), that are not covered and come last.",
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
    neither taken nor covered. Exact duplicates of taken rows come last, lowest row first; then outliers.
    """
    apart = _outliers(candidates, params)
    covered = candidates.usable
    covered[apart] = False
    rows = np.flatnonzero(covered)  # all below are places among these
    vectors = candidates.vectors[params.space]
    x = centred(vectors if len(rows) == candidates.n else vectors[rows])
    first = first_of_equals(x)
    points = np.flatnonzero(first == np.arange(len(x)))  # each distinct point by its lowest row

    pins = np.searchsorted(rows, candidates.taken)
    start = np.array([_start(x, rows, params, rng)] if not len(pins) else [], dtype=np.int64)
    seeds = np.searchsorted(points, first[np.concatenate([pins, start])])
    count = min(budget - len(start), len(points) - len(np.unique(seeds)))
    found = farthest_first(x if len(points) == len(x) else x[points], seeds, count, reporter)

    rest = np.ones(len(x), dtype=bool)
    rest[start] = rest[points[found.rows]] = rest[pins] = False
    copies = np.flatnonzero(rest)[: budget - len(start) - count]
    last = apart[: budget - len(start) - count - len(copies)]
    value = np.full(candidates.n, np.nan)
    value[rows] = found.left[np.searchsorted(points, first)]
    taken = {"start": rows[start], "farthest": rows[points[found.rows]]}
    taken |= {"duplicate": rows[copies], "outlier": last}
    return Picked(
        np.concatenate(list(taken.values())),
        _reasons(taken, found.gap),
        warnings=_warnings(len(copies), len(last)),
        trace={"radius": np.concatenate([found.radius, np.zeros(len(copies) + len(last))])},
        ledger=_ledger(candidates, params, apart, value),
    )


def _outliers(candidates: Candidates, params: KCenterParams) -> Rows:
    """Free rows that need not be covered, the least far off first; a start row that was given is none."""
    usable, free = np.flatnonzero(candidates.usable), np.flatnonzero(candidates.free)
    if params.start == "index":
        free = free[free != params.index]
    count = min(tail_size(params.ignore_outliers, len(usable), 100), len(free) - 1)
    if count <= 0:
        return free[:0]
    x = candidates.vectors[params.space]
    far = candidates.once(("neighbour distance", params.space), lambda: neighbour_distance(x[usable]))
    return best(free, far[np.searchsorted(usable, free)], count)[::-1]


def _start(x: Matrix, rows: Rows, params: KCenterParams, rng: np.random.Generator) -> int:
    """The first row, as a place among those that may be taken."""
    if params.start == "random":
        return int(rng.integers(len(x)))
    if params.start == "medoid":
        return int(squares(x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)).argmin())
    place = int(np.searchsorted(rows, params.index))
    if place == len(rows) or rows[place] != params.index:
        raise BadInput(
            f"start row {params.index} is not among the rows that may be taken; give another index"
        )
    return place


def _reasons(taken: Mapping[str, Rows], gap: NDArray[np.float64]) -> Reasons:
    """Role -> rows, and the distance of the farthest ones to those before them."""
    counts = [len(rows) for rows in taken.values()]
    score = np.full(sum(counts), np.nan)
    role = np.repeat(list(taken), counts)
    score[role == "farthest"] = gap
    score[role == "duplicate"] = 0.0
    return Reasons(len(role), role, score=score)


def _ledger(candidates: Candidates, params: KCenterParams, apart: Rows, value: NDArray[np.float64]) -> Ledger:
    out = np.zeros(candidates.n, dtype=bool)
    out[apart] = True
    return Ledger(
        value=value,
        value_name="distance to the nearest chosen row",
        spent=True,
        out=out,
        out_reason=f"it is among the {params.ignore_outliers:g} % of rows farthest from their 10th nearest, "
        "which need not be covered",
    )


def _warnings(copies: int, outliers: int) -> tuple[str, ...]:
    said = []
    if copies:
        said.append(f"only exact duplicates were left for {copies} rows: they cover nothing new")
    if outliers:
        said.append(f"all other rows were taken before {outliers} outliers that were to be ignored")
    return tuple(said)
