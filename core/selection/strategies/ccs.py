"""Coverage-centric selection (CCS): drop the hardest tail, then sample evenly across difficulty.

Zheng, Liu, Lai and Prakash, "Coverage-centric Coreset Selection for High Pruning Rates", ICLR 2023
(arXiv:2210.15809), Algorithm 1; the faults of the reference code are mended (selection 7.5).
"""

from __future__ import annotations

import numpy as np

from core.selection.allocation import Counts, beyond, group_rows, take_turns, water_fill
from core.selection.base import Candidates, Picked, strategy
from core.selection.strata import StrataParams, check_finite, split_hard_tail, stratum_of, tail_size
from core.values import Reason, Reporter


class CCSParams(StrataParams):
    """Score, number of strata, cut-off and binning."""


@strategy(
    title="Coverage-centric (CCS)",
    source="arXiv:2210.15809, Algorithm 1",
    needs=lambda params: (f"score:{params.score}",),
)
def ccs(
    candidates: Candidates, budget: int, params: CCSParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Give every stratum an equal share, smallest first, what it cannot use passing to the larger ones."""
    score = candidates.scores[params.score]
    usable, pinned = np.flatnonzero(candidates.usable), candidates.pinned
    check_finite(params.score, score, usable)
    total = budget + len(candidates.taken)
    kept, cut = split_hard_tail(score.hardness, usable, params.beta, at_least=total)
    k = max(min(params.strata, len(kept)), 1)
    bins = np.full(candidates.n, -1)
    bins[kept] = stratum_of(score.values[kept], k, params.binning)

    inside = np.zeros(candidates.n, dtype=bool)
    inside[kept] = True
    sizes = np.bincount(bins[kept], minlength=k)
    held = np.bincount(bins[inside & pinned], minlength=k)
    quota = beyond(water_fill, sizes, budget, held)
    drawn = [
        rng.permutation(rows)[: quota[stratum]]
        for stratum, rows in group_rows(bins, inside & ~pinned).items()
    ]
    rows, _ = take_turns(drawn)
    reasons = [Reason(role="stratum", bin=int(bins[r]), score=float(score.values[r])) for r in rows]
    return Picked(rows, reasons, warnings=_warnings(params, len(usable), len(cut), sizes, quota + held))


def _warnings(params: CCSParams, n: int, cut: int, sizes: Counts, filled: Counts) -> tuple[str, ...]:
    said, k = [], len(sizes)
    if cut < tail_size(params.beta, n):
        said.append(
            f"the budget leaves room to cut off only {cut} of {n} rows: beta was lowered "
            f"from {params.beta:g} to {cut / n:.3g}"
        )
    if k < params.strata:
        said.append(f"only {k} rows are left to stratify: {k} strata instead of {params.strata}")
    starved = int(((sizes > 0) & (filled == 0)).sum())
    if starved:
        said.append(
            f"the budget is too small for {starved} of {int((sizes > 0).sum())} strata, which have no row"
        )
    return tuple(said)
