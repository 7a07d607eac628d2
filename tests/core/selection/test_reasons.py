"""Reasons as columns read like the objects they stand for."""

import numpy as np

from core.selection import Picked, Reasons, first_of
from core.values import Reason


def test_columns_read_as_the_reasons_they_stand_for():
    found = Reasons(
        3,
        np.array(["boundary", "centre", "noise"]),
        cluster=np.array([4, 4, -1]),
        category=np.array(["fraud", "", "threat"]),
        score=[0.5, np.nan, 2.0],
        shares={"saps": np.array([0.25, 0.5, 1.0]), "ccs": [0.75, 0.5, 0.0]},
    )
    assert list(found) == [
        Reason(role="boundary", cluster=4, category="fraud", score=0.5, shares={"saps": 0.25, "ccs": 0.75}),
        Reason(role="centre", cluster=4, shares={"saps": 0.5, "ccs": 0.5}),
        Reason(role="noise", cluster=-1, category="threat", score=2.0, shares={"saps": 1.0, "ccs": 0.0}),
    ]
    assert found[-1] == found[2] and list(found[1:]) == list(found)[1:]
    assert found == tuple(found) and found != found[:2]


def test_what_is_read_can_be_stored_as_json():
    one = Reasons(1, "stratum", bin=np.array([7]), score=np.array([0.5], dtype=np.float32))[0]
    assert Reason.model_validate_json(one.model_dump_json()) == one
    assert type(one.bin) is int and type(one.score) is float


def test_the_first_rows_keep_their_part_of_the_trace_behind_the_pins():
    picked = Picked(
        np.array([5, 3, 1]), Reasons(3, "farthest"), 1, ("late",), {"radius": np.array([9.0, 5.0, 3.0, 1.0])}
    )
    head = first_of(picked, 2)
    assert head.rows.tolist() == [5, 3] and len(head.reasons) == 2
    assert head.trace["radius"].tolist() == [9.0, 5.0, 3.0]
    assert (head.shortfall, head.warnings) == (0, ())
