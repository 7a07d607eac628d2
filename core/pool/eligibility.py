"""Which rows a repair method may learn from: budgets and percentages count these only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core.errors import BadInput
from core.pool.mapping import TEXTS
from core.values import SPLITS, Pool, Rows


@dataclass(frozen=True)
class Eligibility:
    """Row numbers of the pool, ascending, and how many rows each reason left out (every row counts once)."""

    rows: Rows
    left_out: dict[str, int]


def eligible(pool: Pool, needs: Iterable[str], splits: Iterable[str] = ("train",)) -> Eligibility:
    """Rows in `splits` that have every text in `needs` (of prompt, response, rejected).

    An empty prompt is legal, so "prompt" leaves nothing out. A method that needs a response trains toward it
    and never gets a blocked row.
    """
    needs, splits = tuple(needs), tuple(splits)
    unknown = [n for n in needs if n not in TEXTS] + [s for s in splits if s not in SPLITS]
    if unknown:
        raise BadInput(
            f"{unknown[0]!r} is neither a text ({', '.join(TEXTS)}) nor a split ({', '.join(SPLITS)})"
        )
    frame = pool.frame
    reasons = {
        f"held out for {split}" if split != "train" else "in train": (frame["split"] == split).to_numpy(
            dtype=bool
        )
        for split in SPLITS
        if split not in splits
    }
    if "response" in needs:
        reasons["blocked: no text may be trained toward"] = frame["blocked"].to_numpy(dtype=bool)
    for side in TEXTS[1:]:
        if side in needs:
            reasons[f"no {side}"] = (frame[side] == "").to_numpy(dtype=bool)
    left = np.ones(len(pool), dtype=bool)
    left_out: dict[str, int] = {}
    for reason, hit in reasons.items():
        if (left & hit).any():
            left_out[reason] = int((left & hit).sum())
        left &= ~hit
    return Eligibility(np.flatnonzero(left), left_out)
