"""Rows through the model: the longest first, in batches of like length, back in the pool's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.lm.tokenise import Encoded
from core.scoring.base import Tools
from core.scoring.responses import ResponseParams, encode_sides, per_row
from core.values import Silent


def test_the_longest_rows_come_first_and_each_gets_its_own_number(pool_of: Any) -> None:
    lengths = [3, 9, 1, 9, 4, 7, 2]
    sides = {row: (Encoded(tuple(range(n + 1)), 1),) for row, n in enumerate(lengths) if row != 4}
    seen: list[list[int]] = []

    def compute(part: list[Any]) -> Any:
        seen.append([side.scored for (side,) in part])
        return np.array(seen[-1], dtype=np.float64)

    found = per_row(pool_of([("", "", "")] * 7), sides, compute, 2, Tools(), Silent())
    assert seen == [[9, 9], [7, 3], [2, 1]]
    assert np.array_equal(found, [3, 9, 1, 9, np.nan, 7, 2], equal_nan=True)


def test_a_row_needs_every_text_that_is_asked_for(pool_of: Any, tiny_lm: Any) -> None:
    pool = pool_of([("p", "ab", "cde"), ("p", "ab", ""), ("", "", "c")])
    found = encode_sides(pool, tiny_lm(), ResponseParams(), "response", "rejected")
    assert {row: [side.scored for side in sides] for row, sides in found.items()} == {0: [3, 4]}
