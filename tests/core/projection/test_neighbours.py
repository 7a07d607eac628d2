"""Nearest rows: the same as by sorting every row of the cosine matrix, ties and duplicates included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.projection.neighbours import largest, nearest, place, threads


@settings(max_examples=150, deadline=None)
@given(
    n=st.sampled_from([1, 2, 63, 64, 65, 200, 500, 1000]),
    k=st.integers(1, 20),
    values=st.sampled_from([3, 50, 10**6]),
    seed=st.integers(0, 10**6),
)
def test_the_largest_are_those_of_a_full_sort_lower_columns_first(
    n: int, k: int, values: int, seed: int
) -> None:
    table = np.random.default_rng(seed).integers(values, size=(7, n)).astype(np.float32)
    k = min(k, n)
    slow = [sorted(range(n), key=lambda c, row=row: (-row[c], c))[:k] for row in table]
    assert largest(table, k).tolist() == slow


def units(n: int, d: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("count", ["1", "3"])
def test_neighbours_are_the_largest_cosines_the_row_itself_first(
    count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_THREADS", count)
    points = units(700, 5)  # more than one block
    rows, distances = nearest(points, 6)
    slow = np.argsort(-(points @ points.T), axis=1)[:, :6]
    assert (rows[:, 0] == np.arange(700)).all()
    assert (np.sort(rows) == np.sort(slow)).all()
    assert distances == pytest.approx(1 - np.take_along_axis(points @ points.T, rows, axis=1), abs=1e-5)
    assert (np.diff(distances, axis=1) >= 0).all() and (distances[:, 0] == 0).all()


def test_the_nearest_of_equal_rows_are_equal_rows_and_each_is_its_own_first() -> None:
    rows, distances = nearest(np.repeat(units(2, 4), 5, axis=0), 5)
    assert (rows[:, 0] == np.arange(10)).all()
    assert (rows // 5 == np.arange(10)[:, None] // 5).all()
    assert distances == pytest.approx(0, abs=1e-6)


def test_a_new_row_lies_amid_its_three_nearest() -> None:
    drawn = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    positions = np.array([[0, 0], [3, 0], [0, 6], [99, 99]], dtype=np.float32)
    # by hand: the three of largest cosine with (0.8, 0.6) are the first three; their mean is (1, 2)
    assert place(drawn[1:2], drawn, positions) == pytest.approx(np.array([[1.0, 2.0]]))
    assert place(drawn[3:], drawn, positions, k=1).tolist() == [[99, 99]]
    assert place(drawn[:1], drawn[:2], positions[:2]).tolist() == [[1.5, 0]], "fewer drawn than asked for"
    assert place(drawn[:0], drawn, positions).shape == (0, 2)


def test_the_thread_count_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_THREADS", "7")
    assert threads() == 7
    monkeypatch.setenv("WINNOW_THREADS", "none")
    assert threads() >= 1
