"""Moderate coreset: the rows at a middling distance from the median vector of their class.

Xia et al., "Moderate Coreset", ICLR 2023; from the behaviour of the authors' public code (selection 9.3),
whose rounding may miss the budget by one: here exactly the budget is taken, centred on the median rank.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.allocation import group_rows
from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.distance import Matrix, blocks
from core.selection.draw import first_group
from core.selection.harm_categories import rarest_first
from core.selection.ranking import best
from core.selection.reasons import Reasons
from core.values import Params, Reporter, Rows


class ModerateParams(Params):
    """What a class is, and where distances are measured."""

    classes: Literal["category", "kmeans", "hdbscan"] = Field(
        "category",
        description="Classes with a median each: harm categories (a row belongs to its rarest), or clusters. "
        "Rows of no class are one more.",
    )
    space: Literal["embedding", "pca50", "umap10"] = Field(
        "embedding", description="Vector space in which distances are measured."
    )


def _needs(params: ModerateParams) -> tuple[str, ...]:
    groups = "column:category" if params.classes == "category" else f"cluster:{params.classes}"
    return (groups, f"vectors:{params.space}")


@strategy(title="Moderate coreset", source="ICLR 2023, authors' code", needs=_needs, nested=True)
def moderate(
    candidates: Candidates, budget: int, params: ModerateParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """The free rows nearest to the median rank of distance, over all classes; ties of distance by row.

    Of two rows equally far from the median rank the one nearer its class comes first. Ranks count the rows
    that may be taken, pins included; medians are made of all rows.
    """
    distance, label = candidates.once(
        ("moderate", params.classes, params.space), lambda: _distances(candidates, params)
    )
    usable = np.flatnonzero(candidates.usable)
    order = usable[np.argsort(distance[usable], kind="stable")]
    value = np.full(candidates.n, -np.inf)
    value[order] = -np.abs(np.arange(len(order)) - (len(order) - 1) / 2)
    ranked = order[candidates.free[order]]  # by rank: ties of `value` then go to the lower rank
    rows = ranked[best(np.arange(len(ranked)), value[ranked], budget)]
    names = np.array([*candidates.category_names, ""], dtype=object)
    what = {"category": names[label[rows]]} if params.classes == "category" else {"cluster": label[rows]}
    return Picked(
        rows,
        Reasons(len(rows), "middle", score=distance[rows], **what),
        ledger=Ledger(value=value, value_name="minus the ranks between its distance and the median"),
    )


def _distances(candidates: Candidates, params: ModerateParams) -> tuple[NDArray[np.float64], Rows]:
    """(distance (n,), class (n,), -1 for none)."""
    if params.classes == "category":
        assert candidates.categories is not None  # declared in needs, checked by select()
        members = [np.flatnonzero(column) for column in candidates.categories.T]
        order = rarest_first(members)
        first = first_group([members[c] for c in order], candidates.n)
        label = np.array([*order, -1], dtype=np.int64)[first]
    else:
        label = np.asarray(candidates.clusters[params.classes], dtype=np.int64)
    return median_distances(candidates.vectors[params.space], label), label


def median_distances(x: Matrix, label: Rows) -> NDArray[np.float64]:
    """(n,) distance of each row of x (n, d) to the median vector, number by number, of its class.

    Rounded to twelve digits, so that equal rows tie.
    """
    found = np.empty(len(x))
    for rows in group_rows(label, np.ones(len(x), dtype=bool)).values():
        middle = np.median(x[rows], axis=0).astype(np.float64)
        for s in blocks(len(rows), x.shape[1]):
            found[rows[s]] = np.linalg.norm(x[rows[s]] - middle, axis=1)
    rounded: NDArray[np.float64] = np.round(found, 12)
    return rounded
