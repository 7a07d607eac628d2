"""SSS: the same number of safety examples from every harm category; with `t1_only` it is SSS-B.

Pham et al., "How to Fine-Tune Safely on a Budget" (arXiv:2510.21885), sampler of the authors' public code;
our choices for its edge cases (behaviour-and-prism 2.4). "-B" as a T1 filter is inferred.
"""

from __future__ import annotations

import numpy as np

from core.selection.base import Candidates, Picked, strategy
from core.selection.draw import at_random
from core.selection.harm_categories import CategoryParams, Harms, behaviour_needs, sample_evenly
from core.values import Reporter


class SSSParams(CategoryParams):
    """Which rows form the pool, and what happens to rows that categories cannot fill."""


@strategy(
    title="Stratified safety sampling (SSS)",
    source="arXiv:2510.21885, authors' code",
    needs=lambda params: ("column:category", *behaviour_needs(params)),
)
def sss(
    candidates: Candidates, budget: int, params: SSSParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Draw each category's share, rarest category first; a row counts once, for the category that drew it.

    Blocked rows and rows whose behaviour could not be parsed are never taken. Too few rows give a shortfall:
    SSS-B never spills into T2, T3 or T4.
    """
    harms = Harms.of(candidates, params.t1_only)
    return sample_evenly(candidates, budget, params, harms, at_random(rng))
