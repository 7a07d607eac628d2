"""Coverage-centric selection (CCS): drop the hardest tail, then sample evenly across difficulty.

Zheng, Liu, Lai and Prakash, "Coverage-centric Coreset Selection for High Pruning Rates", ICLR 2023
(arXiv:2210.15809), Algorithm 1; the faults of the reference code are mended (selection 7.5).
"""

from __future__ import annotations

import numpy as np

from core.selection.allocation import Counts, beyond, water_fill
from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.grouping import by_label, turns
from core.selection.reasons import Reasons
from core.selection.strata import OUTSIDE, Strata, StrataParams, stratify, tail_size
from core.values import Reporter


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
    strata = stratify(candidates, params, at_least=budget + len(candidates.taken))
    bins, inside, pinned = strata.bins, strata.bins != OUTSIDE, candidates.pinned
    sizes = np.bincount(bins[inside], minlength=strata.count)
    held = np.bincount(bins[inside & pinned], minlength=strata.count)
    quota = beyond(water_fill, sizes, budget, held)

    drawn = rng.permutation(np.flatnonzero(inside & ~pinned))
    drawn = drawn[by_label(bins[drawn])]  # stratum by stratum, at random inside each
    turn = turns(bins[drawn])
    taken = turn < quota[bins[drawn]]
    rows = drawn[taken]
    rows = rows[np.lexsort((bins[rows], turn[taken]))]  # strata take turns, so that prefixes are even too

    score, cut = candidates.scores[params.score].values, int(strata.cut.sum())
    return Picked(
        rows,
        Reasons(len(rows), "stratum", bin=bins[rows].astype(np.int64), score=score[rows]),
        warnings=_warnings(params, int(candidates.usable.sum()), cut, sizes, quota + held),
        ledger=_ledger(strata, cut / max(int(candidates.usable.sum()), 1)),
    )


def _ledger(strata: Strata, share: float) -> Ledger:
    return Ledger(
        group=strata.bins,
        group_kind="stratum",
        at_random=True,
        out=strata.cut,
        out_reason=f"it is among the hardest {100 * share:.3g} % that beta cuts off",
    )


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
