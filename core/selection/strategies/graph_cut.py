"""Graph cut: rows that are similar to the whole pool and not to each other.

f(S) = sum over V, S of s_ij - lambda * sum over S, S of s_ij, with lambda on the second term as in submodlib
(Iyer, Khargoankar, Bilmes and Asanani, "Submodular Combinatorial Information Measures", ALT 2021,
arXiv:2006.15412); apricot's alpha is 1 / lambda (selection 9.2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.greedy import Gains, pick_falling
from core.selection.kernels import Space, features
from core.selection.reasons import Reasons
from core.values import Params, Reporter, Rows


class GraphCutParams(Params):
    """How much likeness among chosen rows costs. Similarity is (1 + cosine) / 2: gains must only fall."""

    redundancy: float = Field(
        0.4,
        ge=0.0,
        le=1.0,
        description="Lambda: cost of similarity among chosen rows; above 0.5 a row may lower the whole.",
    )
    space: Space = Field("embedding", description="Vector space in which rows are compared.")


class Cut:
    """Gains of graph cut by sums of vectors: similarity is a product, so no n x n matrix is needed."""

    def __init__(self, rows: NDArray[np.float64], trade: float) -> None:
        self._rows, self._double = rows, 2.0 * trade
        self.gains: Gains = rows @ rows.sum(axis=0) - trade * np.einsum("ij,ij->i", rows, rows)

    def among(self, rows: Rows) -> Callable[[int], Gains]:
        """Each taken row costs the others twice lambda times their similarity to it."""
        part = self._rows[rows]
        cost = self._double * (part @ part.T)
        return lambda place: np.asarray(cost[place])

    def take(self, rows: Rows) -> None:
        """One product with the sum of the taken rows."""
        self.gains -= self._double * (self._rows @ self._rows[rows].sum(axis=0))


@strategy(
    title="Graph cut",
    source="arXiv:2006.15412, graph cut",
    needs=lambda params: (f"vectors:{params.space}",),
    nested=True,
)
def graph_cut(
    candidates: Candidates, budget: int, params: GraphCutParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Take the row with the largest gain, s to all rows - lambda (2 s to the chosen ones + s to itself).

    A reason's score is that gain, `trace["objective"]` the value of f after each row. Pins count as chosen;
    banned rows are neither taken nor counted among V.
    """
    usable = np.flatnonzero(candidates.usable)
    model = Cut(features(candidates.vectors[params.space][usable], "cos01", np.float64), params.redundancy)
    held = np.searchsorted(usable, candidates.taken)
    before = []
    for pin in held:
        before.append(model.gains[pin])
        model.take(np.array([pin]))
    picked, gain = pick_falling(model, candidates.free[usable], budget, reporter)
    value = np.zeros(candidates.n)
    value[usable] = model.gains
    value[usable[picked]] = gain
    return Picked(
        usable[picked],
        Reasons(budget, "typical", score=gain),
        warnings=_warnings(params.redundancy, gain),
        trace={"objective": np.cumsum(np.concatenate([before, gain]))},
        ledger=Ledger(value=value, value_name="gain of the cut", spent=True),
    )


def _warnings(redundancy: float, gain: Gains) -> tuple[str, ...]:
    worse = int((gain < 0).sum())
    said = (
        f"{worse} of the added rows lower the objective: with a redundancy cost of {redundancy:g}, "
        "above 0.5, their likeness to chosen rows outweighs that to the pool; lower it or the budget"
    )
    return (said,) if worse else ()
