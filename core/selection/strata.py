"""Difficulty strata of CCS: which hard tail is cut off, and which stratum each kept row falls in.

Zheng et al., ICLR 2023 (arXiv:2210.15809), with the faults of the reference code mended (selection 7.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import BadInput
from core.selection.base import Candidates, Score
from core.selection.ranking import best
from core.values import Params, Rows

Binning = Literal["equal_width", "quantile"]

OUTSIDE = -1  # stratum of a row that is in none


class StrataParams(Params):
    """The settings of everything that stratifies by difficulty."""

    score: str = Field(
        "el2n",
        description="Difficulty score; one where higher is easier (AUM) is turned round.",
        json_schema_extra={"registry": "score"},
    )
    strata: int = Field(50, ge=1, le=500, description="Number of score strata.")
    beta: float = Field(0.1, ge=0.0, le=0.5, description="Share of the hardest rows to cut off first.")
    binning: Binning = Field(
        "equal_width", description="Strata of equal width, or of about equal numbers of rows (quantiles)."
    )


def check_finite(name: str, score: Score, rows: Rows) -> None:
    """Strata need a finite range: infinity has no place in it."""
    wild = int(np.isinf(score.values[rows]).sum())
    if wild:
        raise BadInput(
            f"score {name!r} is infinite for {wild} rows, which strata cannot hold; "
            "ban them or choose another score"
        )


def tail_size(beta: float, n: int, whole: int = 1) -> int:
    """floor(beta / whole * n), exactly: 0.29 of 100 is 29, not floating point's 28; whole = 100: percent."""
    return math.floor(Fraction(str(beta)) * n / whole)


def split_hard_tail(
    hardness: NDArray[np.float64], rows: Rows, beta: float, at_least: int = 0
) -> tuple[Rows, Rows]:
    """(kept, cut), both ascending: of `rows` (m,), ascending, the hardest `tail_size` are cut.

    But `at_least` rows are always kept. Ties of hardness cut the lower row number first.
    """
    cut = min(tail_size(beta, len(rows)), max(len(rows) - at_least, 0))
    inside = np.ones(len(rows), dtype=bool)
    inside[best(np.arange(len(rows)), hardness[rows], cut)] = False
    return rows[inside], rows[~inside]


def stratum_of(values: NDArray[np.floating], k: int, binning: Binning = "equal_width") -> NDArray[np.int64]:
    """(n,) stratum 0..k-1 of each value: edges min + i (max - min) / k, the last stratum closed.

    Quantile strata use the i/k quantiles as edges, so equal values always share a stratum.
    """
    s = np.asarray(values, dtype=np.float64)
    low, high = (float(s.min()), float(s.max())) if s.size else (0.0, 0.0)
    if high <= low:
        return np.zeros(len(s), dtype=np.int64)  # constant: one stratum
    inner = np.arange(1, k)
    edges = np.quantile(s, inner / k) if binning == "quantile" else low + inner * ((high - low) / k)
    return np.searchsorted(edges, s, side="right").astype(np.int64)


@dataclass(frozen=True)
class Strata:
    """Which stratum each row falls in."""

    bins: NDArray[np.int16]  # (n,), 0 is the lowest score; OUTSIDE = banned or in the cut tail
    count: int  # of strata, empty ones included
    cut: NDArray[np.bool_]  # (n,) the hardest tail


def stratify(candidates: Candidates, params: StrataParams, at_least: int = 0) -> Strata:
    """Strata of the usable rows without their hardest tail, of which `at_least` rows are always kept."""
    score, usable = candidates.scores[params.score], np.flatnonzero(candidates.usable)
    at_least = max(
        at_least, len(usable) - tail_size(params.beta, len(usable))
    )  # so that equal strata are one
    key = ("strata", params.score, params.strata, params.binning, at_least)

    def make() -> Strata:
        check_finite(params.score, score, usable)
        kept, hardest = split_hard_tail(score.hardness, usable, params.beta, at_least)
        k = max(min(params.strata, len(kept)), 1)
        bins, cut = np.full(candidates.n, OUTSIDE, dtype=np.int16), np.zeros(candidates.n, dtype=bool)
        bins[kept] = stratum_of(score.values[kept], k, params.binning)
        cut[hardest] = True
        return Strata(bins, k, cut)

    return candidates.once(key, make)
