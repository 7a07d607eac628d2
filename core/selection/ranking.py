"""The rows with the largest values, ties to the lower row, without sorting all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.values import Rows


def best(rows: Rows, values: NDArray[np.floating[Any]], count: int) -> Rows:
    """The `count` of `rows` (m,), ascending, with the largest `values` (m,), largest first; all when fewer.

    Equal values go by row. Values may be infinite; NaN has no rank and must not be among them.
    """
    if 0 < count < len(rows):
        edge = np.partition(values, len(rows) - count)[len(rows) - count]
        keep = values >= edge
        rows, values = rows[keep], values[keep]
    return rows[np.argsort(-values, kind="stable")[:count]]
