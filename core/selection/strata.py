"""Difficulty strata of CCS: which hard tail is cut off, and which stratum each kept row falls in.

Zheng et al., ICLR 2023 (arXiv:2210.15809), with the faults of the reference code mended (selection 7.5).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import BadInput
from core.selection.base import Score
from core.values import Params, Rows

Binning = Literal["equal_width", "quantile"]


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


def tail_size(beta: float, n: int) -> int:
    """floor(beta * n) with beta taken exactly: 0.29 of 100 is 29, not the 28 of floating point."""
    return math.floor(Fraction(str(beta)) * n)


def split_hard_tail(
    hardness: NDArray[np.float64], rows: Rows, beta: float, at_least: int = 0
) -> tuple[Rows, Rows]:
    """(kept, cut): the hardest `tail_size` of `rows` are cut, but `at_least` rows are always kept.

    Ties of hardness cut the lower row number first.
    """
    cut = min(tail_size(beta, len(rows)), max(len(rows) - at_least, 0))
    order = rows[np.lexsort((rows, -hardness[rows]))]
    return np.sort(order[cut:]), order[:cut]


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
