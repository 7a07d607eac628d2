"""Log-determinant: rows that span as large a volume as possible, the most probable set of a DPP, greedily.

Chen, Zhang and Zhou, "Fast Greedy MAP Inference for Determinantal Point Process to Improve Recommendation
Diversity", NeurIPS 2018 (arXiv:1709.05135), Algorithm 1; the gain has the sign of selection 9.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.greedy import Gains, pick_falling
from core.selection.kernels import Kernel, Space, features
from core.selection.reasons import Reasons
from core.values import Params, Reporter, Rows


class LogDetParams(Params):
    """What similar means, and how much of each row is its own."""

    kernel: Kernel = Field(
        "cos01", description="Similarity: cos01 is (1 + cosine) / 2; cos is the plain cosine."
    )
    ridge: float = Field(
        1e-3, ge=1e-6, le=1.0, description="Added to each row's similarity to itself; larger is smoother."
    )
    space: Space = Field("embedding", description="Vector space in which rows are compared.")


class Volume:
    """What of each row the chosen rows do not explain, L_xx - L_xS L_SS^-1 L_Sx with L = rows rows^T + ridge.

    The source grows a Cholesky factor (n, |S|); with product similarities the same numbers come from what is
    left of each direction, one (d, d) matrix: memory and time per row do not grow with the budget.
    """

    def __init__(self, rows: NDArray[np.float64], ridge: float) -> None:
        self._rows, self._ridge = rows, ridge
        self._left = np.eye(rows.shape[1])
        self.gains: Gains = np.einsum("ij,ij->i", rows, rows) + ridge

    def among(self, rows: Rows) -> Callable[[int], Gains]:
        """Taking a row explains of each other one their covariance squared over its own variance."""
        part = self._rows[rows]
        shared = part @ self._left @ part.T

        def fall(place: int) -> Gains:
            column: Gains = shared[place] / np.sqrt(shared[place, place] + self._ridge)
            np.subtract(shared, column[:, None] * column, out=shared)
            return column * column

        return fall

    def take(self, rows: Rows) -> None:
        """One product of all rows with as many directions as rows were taken."""
        part = self._rows[rows] @ self._left
        shared = part @ self._rows[rows].T
        shared[np.diag_indices(len(rows))] += self._ridge
        direction = np.linalg.solve(np.linalg.cholesky(shared), part)
        self._left -= direction.T @ direction
        self.gains -= np.square(self._rows @ direction.T).sum(axis=1)


@strategy(
    title="Log-determinant (DPP)",
    source="arXiv:1709.05135, Algorithm 1",
    needs=lambda params: (f"vectors:{params.space}",),
    nested=True,
)
def log_det(
    candidates: Candidates, budget: int, params: LogDetParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Take the row that the chosen ones explain least: log det of their similarities grows most.

    A reason's score is that growth, `trace["objective"]` the log-determinant after each row. Pins count as
    chosen. Exact duplicates are legal: the ridge keeps a second copy at about log(2 ridge).
    """
    usable = np.flatnonzero(candidates.usable)
    model = Volume(
        features(candidates.vectors[params.space][usable], params.kernel, np.float64), params.ridge
    )
    before = []
    for pin in np.searchsorted(usable, candidates.taken):
        before.append(model.gains[pin])
        model.take(np.array([pin]))
    picked, own = pick_falling(model, candidates.free[usable], budget, reporter)
    value = np.zeros(candidates.n)
    value[usable] = np.log(np.maximum(model.gains, params.ridge))
    gain = np.log(np.maximum(np.concatenate([before, own]), params.ridge))
    added = gain[len(before) :]
    value[usable[picked]] = added
    return Picked(
        usable[picked],
        Reasons(budget, "diverse", score=added),
        trace={"objective": np.cumsum(gain)},
        ledger=Ledger(value=value, value_name="gain in log-determinant", spent=True),
    )
