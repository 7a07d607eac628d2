"""Lanes: who may start where, and what moving a waiting job does to the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.jobs import lanes

GPUS = ("cuda:0", "cuda:1")
ONE = {"cpu_slots": 1, "gpu_slots": 1}


@pytest.mark.parametrize(
    ("asked", "gpus", "expected"),
    [
        ("auto", GPUS, GPUS),
        ("auto", (), ("cpu",)),
        ("cpu", GPUS, ("cpu",)),
        ("cuda", GPUS, GPUS),
        ("cuda:1", GPUS, ("cuda:1",)),
        ("mps", ("mps",), ("mps",)),
        ("auto", ("mps",), ("mps",)),
        ("cuda:7", GPUS, ("cpu",)),  # torch says there what the machine has
        ("cuda", (), ("cpu",)),
    ],
)
def test_a_wish_is_served_by_these_lanes_in_this_order(asked, gpus, expected):
    assert lanes.serving(asked, gpus) == expected


def test_a_spec_without_a_device_takes_the_best_there_is():
    assert lanes.wish({}) == lanes.wish({"device": ""}) == lanes.wish({"device": None}) == "auto"
    assert lanes.wish({"device": "cuda:1"}) == "cuda:1"


def test_a_full_gpu_is_passed_over_and_an_automatic_job_never_falls_back_to_the_cpu():
    assert lanes.free("auto", GPUS, {"cuda:0": 1}, **ONE) == "cuda:1"
    assert lanes.free("auto", GPUS, {"cuda:0": 1, "cuda:1": 1}, **ONE) is None
    assert lanes.free("cpu", GPUS, {"cuda:0": 1, "cuda:1": 1}, **ONE) == "cpu"
    assert lanes.free("auto", (), {"cpu": 1}, **ONE) is None
    assert lanes.free("auto", (), {"cpu": 1}, cpu_slots=2, gpu_slots=1) == "cpu"
    assert lanes.free("cuda:0", GPUS, {"cuda:0": 1}, cpu_slots=1, gpu_slots=2) == "cuda:0"


@given(st.integers(1, 12), st.data())
def test_moving_one_job_keeps_everybody_and_the_order_of_the_others(n, data):
    ids = [f"j{i}" for i in range(n)]
    moved = data.draw(st.sampled_from(ids))
    where = data.draw(st.sampled_from(lanes.WHERE))
    new = lanes.reordered(ids, moved, where)
    assert [i for i in new if i != moved] == [i for i in ids if i != moved]
    at, place = ids.index(moved), new.index(moved)
    assert place == {"first": 0, "last": n - 1, "up": max(at - 1, 0), "down": min(at + 1, n - 1)}[where]
    assert len(new) == n


def test_a_place_that_does_not_exist_is_refused():
    with pytest.raises(BadInput, match="first, up, down, last"):
        lanes.reordered(["a"], "a", "sideways")
