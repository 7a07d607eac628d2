"""Uniform random choice: the baseline every other strategy must beat."""

from __future__ import annotations

import numpy as np

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.reasons import Reasons
from core.values import Params, Reporter


@strategy(title="Random", source="baseline", nested=True)
def uniform(
    candidates: Candidates, budget: int, params: Params, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """The first free rows of one seeded permutation: a larger budget keeps the rows of a smaller one."""
    order = rng.permutation(candidates.n)
    rows = order[candidates.free[order]][:budget]
    return Picked(rows, Reasons(len(rows), "random"), ledger=Ledger(at_random=True))
