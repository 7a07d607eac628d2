"""Budgets count rows that the method can learn from: train only, every text there, never a blocked row."""

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput
from core.pool import eligible
from core.values import Pool

FRAME = pd.DataFrame(
    [
        ("good", "bad", False, "train"),
        ("good", "", False, "train"),
        ("", "bad", True, "train"),
        ("", "", False, "train"),
        ("good", "bad", False, "validation"),
        ("good", "bad", False, "test"),
    ],
    columns=["response", "rejected", "blocked", "split"],
).assign(prompt="")
POOL = Pool("x", FRAME, "f", "s")


@pytest.mark.parametrize(
    ("needs", "rows"),
    [
        (("prompt",), [0, 1, 2, 3]),
        (("prompt", "response"), [0, 1]),
        (("prompt", "response", "rejected"), [0]),
        (("rejected",), [0, 2]),  # unlearning may read a blocked row
    ],
)
def test_rows_by_needs(needs, rows):
    found = eligible(POOL, needs)
    assert list(found.rows) == rows
    assert len(rows) + sum(found.left_out.values()) == len(POOL)


def test_every_row_left_out_has_one_reason():
    assert eligible(POOL, ("response", "rejected")).left_out == {
        "held out for validation": 1,
        "held out for test": 1,
        "blocked: no text may be trained toward": 1,
        "no response": 1,
        "no rejected": 1,
    }


def test_held_out_rows_are_there_for_who_asks():
    assert np.array_equal(eligible(POOL, ("prompt",), splits=("test",)).rows, [5])


def test_an_unknown_need_is_refused():
    with pytest.raises(BadInput, match="'answer'"):
        eligible(POOL, ("answer",))
