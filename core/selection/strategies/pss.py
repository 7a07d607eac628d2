"""PSS: from every harm category the examples most like the category's prototype; with `t1_only` it is PSS-B.

Pham et al., "How to Fine-Tune Safely on a Budget" (arXiv:2510.21885), sampler of the authors' public code;
our choices for its edge cases (behaviour-and-prism 2.4). "-B" as a T1 filter is inferred.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.base import Candidates, Picked, strategy
from core.selection.distance import unit
from core.selection.draw import NOBODY, at_random
from core.selection.harm_categories import CategoryParams, Harms, behaviour_needs, sample_evenly
from core.selection.prototypes import likeness, zero_warning
from core.selection.ranking import best
from core.values import Reporter, Rows


class PSSParams(CategoryParams):
    """Which rows form the pool, what is compared, and what happens to rows that categories cannot fill."""

    text: Literal["prompt", "prompt+response"] = Field(
        "prompt", description="Text whose vectors are compared; the authors compare instructions only."
    )


@strategy(
    title="Prototype safety sampling (PSS)",
    source="arXiv:2510.21885, authors' code",
    needs=lambda params: ("column:category", f"vectors:embedding@{params.text}", *behaviour_needs(params)),
)
def pss(
    candidates: Candidates, budget: int, params: PSSParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Take each category's share, rarest category first, by cosine to the mean vector of its members.

    A row counts once, for the category that drew it (the authors' code may count it twice); ties go to the
    lower row. Rows beyond the categories' shares are drawn at random, here from the seed (there unseeded).
    Blocked rows and rows whose behaviour could not be parsed are never taken, nor by PSS-B others than T1.
    """
    harms = Harms.of(candidates, params.t1_only)
    x = candidates.vectors[f"embedding@{params.text}"]
    score, zero = candidates.once(
        ("pss", params.text, params.t1_only), lambda: likeness(x, prototypes(x, harms.members))
    )
    random = at_random(rng)

    def choose(rows: Rows, count: int, category: int) -> Rows:
        if category == NOBODY:
            return random(rows, count, category)
        return best(rows, score[rows, category], count)

    said = zero_warning(zero & harms.pool, "rows")
    return sample_evenly(candidates, budget, params, harms, choose, score, said)


def prototypes(x: NDArray[np.floating[Any]], members: list[Rows]) -> NDArray[np.float64]:
    """(k, d) the direction of each category's mean vector; members count with the length they have."""
    if not members:
        return np.empty((0, x.shape[1]))
    return unit(np.stack([x[rows].mean(axis=0, dtype=np.float64) for rows in members]), np.float64)
