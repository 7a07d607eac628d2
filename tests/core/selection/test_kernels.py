"""Kernels and neighbours: the formulas, zero vectors, and a full sort as a judge of the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import core.selection.distance
from core.selection.distance import unit
from core.selection.kernels import Lists, closest, features, neighbours
from core.values import Silent


def test_products_of_features_are_the_kernel_and_not_the_squared_cosine():
    x = np.array([[3.0, 0], [0, 2], [1, 1], [-5, 0]])
    cosine = np.array([[1, 0, 0.5**0.5, -1], [0, 1, 0.5**0.5, 0]])
    for kernel, expected in (("cos", cosine), ("cos01", 0.5 + 0.5 * cosine)):
        f = features(x, kernel, np.float64)
        np.testing.assert_allclose(f[:2] @ f.T, expected, atol=1e-12)


def test_a_zero_vector_has_cosine_0_to_everything_and_itself():
    x = np.array([[0.0, 0], [1, 0]], dtype=np.float32)
    assert (unit(x)[0] == 0).all()
    f = features(x, "cos01")
    np.testing.assert_allclose(f @ f.T, [[0.5, 0.5], [0.5, 1]], atol=1e-6)


def test_huge_and_tiny_vectors_have_a_direction():
    x = np.array([[3e30, 4e30], [3e-30, 4e-30]], dtype=np.float32)
    np.testing.assert_allclose(unit(x), [[0.6, 0.8], [0.6, 0.8]], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    m=st.integers(1, 20),
    n=st.integers(2, 25),
    levels=st.integers(1, 4),
    same=st.booleans(),
)
def test_closest_rows_are_those_of_a_stable_full_sort(seed, m, n, levels, same):
    rng = np.random.default_rng(seed)
    b = rng.integers(-levels, levels + 1, (n, 3)).astype(np.float32)
    a = b if same else rng.integers(-levels, levels + 1, (m, 3)).astype(np.float32)
    k = int(rng.integers(1, n))
    product = a @ b.T
    if same:
        np.fill_diagonal(product, -np.inf)
    expected = np.sort(np.argsort(-product, axis=1, kind="stable")[:, :k], axis=1)
    rows, values = closest(a, b, k, Silent(), same=same)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(product, expected, axis=1))


def test_blocks_give_the_same_neighbours_as_one_product(monkeypatch):
    x = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    rows, values = closest(x, x, 7, Silent(), same=True)
    monkeypatch.setattr(core.selection.distance, "BLOCK", 100)
    few, few_values = closest(x, x, 7, Silent(), same=True)
    np.testing.assert_array_equal(rows, few)
    np.testing.assert_allclose(values, few_values, atol=1e-6)


def test_neighbours_hold_in_both_directions_and_every_row_is_its_own():
    x = unit(np.random.default_rng(1).normal(size=(40, 3)))
    lists = neighbours(x, 3, Silent())
    full = np.zeros((40, 40))
    full[np.repeat(np.arange(40), np.diff(lists.start)), lists.other] = lists.value
    np.testing.assert_array_equal(full, full.T)
    np.testing.assert_array_equal(full.diagonal(), 1.0)
    assert (np.diff(lists.start) >= 4).all()
    kept = full != 0
    np.testing.assert_allclose(full[kept], (x @ x.T)[kept], atol=1e-6)


def test_one_row_has_no_neighbours():
    lists = neighbours(unit(np.ones((1, 2))), 0, Silent())
    assert lists.other.tolist() == [0] and lists.value == pytest.approx([1.0])


def test_lists_keep_the_first_of_equal_pairs_and_know_their_places():
    row, other = np.array([2, 0, 2, 2]), np.array([1, 1, 0, 1])
    lists = Lists.of(row, other, np.array([5.0, 6, 7, 8]), (3, 2))
    assert lists.start.tolist() == [0, 1, 1, 3]
    assert lists.other.tolist() == [1, 0, 1] and lists.value.tolist() == [6, 7, 5]
    places, owner = lists.places(np.array([2, 1, 0]))
    assert places.tolist() == [1, 2, 0] and owner.tolist() == [0, 0, 2]
