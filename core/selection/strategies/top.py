"""Top: the rows at one end of any score, after skipping a share of that end as possible label noise.

A baseline; skipping the noisiest top is the offset window of Paul, Ganguli and Dziugaite 2021
(arXiv:2107.07075; selection 6.1).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.selection.base import Candidates, Ledger, Picked, Score, strategy
from core.selection.ranking import best
from core.selection.reasons import Reasons
from core.selection.strata import tail_size
from core.values import Params, Reporter, Rows

FIRST, SKIPPED, UNSCORED = range(3)  # whose turn it is


class TopParams(Params):
    """Which score, which end of it, and what is passed over."""

    score: str = Field("toxicity", description="Score to rank by.", json_schema_extra={"registry": "score"})
    end: Literal["hardest", "highest", "lowest"] = Field(
        "hardest",
        description="Which end is taken: the hardest (the lowest values of a score where higher is easier), "
        "the highest values, or the lowest.",
    )
    drop_top: float = Field(
        0.0,
        ge=0.0,
        le=0.3,
        description="Share of the scored rows that is skipped at that end: extremes are often mislabelled.",
    )
    missing: Literal["error", "last"] = Field(
        "error", description="Rows without the score: refuse to select, or rank them last."
    )


def _needs(params: TopParams) -> tuple[str, ...]:
    return (f"score:{params.score}" + ("?" if params.missing == "last" else ""),)


@strategy(title="Top by score", source="baseline", needs=_needs, nested=True)
def top(
    candidates: Candidates, budget: int, params: TopParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """The free rows nearest to that end of the score, ties by row number.

    A larger budget than there are other rows takes skipped rows too, the least extreme first, as if less had
    been skipped; then those without the score. Infinite scores have a rank like any other.
    """
    score = candidates.scores[params.score]
    raw = np.asarray(score.values, dtype=np.float64)
    sign = direction(score, params.end)
    value = sign * raw  # (n,), higher is taken earlier
    usable = np.flatnonzero(candidates.usable)
    scored = usable[~np.isnan(value[usable])]
    skipped = best(scored, value[scored], tail_size(params.drop_top, len(scored)))
    turn = np.full(candidates.n, UNSCORED)
    turn[scored], turn[skipped] = FIRST, SKIPPED

    free = candidates.free
    early = np.flatnonzero(free & (turn == FIRST))
    late = skipped[free[skipped]][::-1]
    last = np.flatnonzero(free & (turn == UNSCORED))
    rows = np.concatenate([best(early, value[early], budget), late, last])[:budget]
    role = np.array(["top", "skipped", "unscored"])[turn[rows]]
    shown = np.where(np.isinf(raw[rows]), np.nan, raw[rows])  # json, where reasons are kept, has no infinity
    return Picked(
        rows,
        Reasons(len(rows), role, score=shown),
        warnings=_warnings(params, turn[rows], len(skipped)),
        ledger=_ledger(params, sign, value, np.where(candidates.usable, turn, FIRST)),
    )


def direction(score: Score, end: str) -> float:
    """1 where the wanted end of the score is the high one, else -1."""
    if end == "hardest":
        return float(Score(np.ones(1), score.higher_is).hardness[0])
    return 1.0 if end == "highest" else -1.0


def _ledger(params: TopParams, sign: float, value: NDArray[np.float64], turn: Rows) -> Ledger:
    why = []
    if (turn == SKIPPED).any():
        why.append(
            f"it is among the {params.end} {100 * params.drop_top:g} % by {params.score}, which are skipped"
        )
    if (turn == UNSCORED).any():
        why.append(f"it has no {params.score}, and such rows come last")
    name = params.score if sign > 0 else f"minus {params.score}"
    return Ledger(value=value, value_name=name, out=turn != FIRST, out_reason=", or ".join(why))


def _warnings(params: TopParams, turn: Rows, skipped: int) -> tuple[str, ...]:
    said, taken, blank = [], int((turn == SKIPPED).sum()), int((turn == UNSCORED).sum())
    if taken:
        said.append(
            f"the budget leaves room to skip only {skipped - taken} of the {skipped} rows that drop_top names"
        )
    if blank:
        said.append(f"{blank} chosen rows have no {params.score}: all that have one are taken")
    return tuple(said)
