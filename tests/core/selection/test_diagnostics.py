"""Diagnostics: hand-computed values, and the same numbers as the slow obvious way."""

import numpy as np
import pytest

from core.selection.diagnostics import (
    aucpr,
    balance,
    coverage,
    coverage_radius,
    expected_jaccard,
    jaccard,
    label_balance,
    redundancy,
)

LINE = np.array([[0], [1], [2], [9], [10]], dtype=np.float32)
ENDS = np.array([0, 4])


def test_coverage_of_the_line_by_its_ends():
    assert coverage_radius(LINE, ENDS) == pytest.approx(2)
    assert aucpr(LINE, ENDS) == pytest.approx(0.8)
    assert aucpr(LINE, ENDS, over="non_selected") == pytest.approx(4 / 3)


def test_a_whole_pool_covers_itself_and_an_empty_selection_covers_nothing():
    everything = np.arange(5)
    assert coverage_radius(LINE, everything) == aucpr(LINE, everything) == 0
    assert aucpr(LINE, everything, over="non_selected") == 0
    assert coverage_radius(LINE, np.array([], dtype=int)) == np.inf


def test_many_rows_in_blocks_agree_with_the_full_matrix():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(3000, 20)) + 100).astype(np.float32)  # far from the origin
    rows = rng.permutation(3000)[:700]
    full = np.sqrt(((x[:, None].astype(float) - x[rows][None]) ** 2).sum(axis=2)).min(axis=1)
    assert coverage_radius(x, rows) == pytest.approx(full.max(), rel=1e-4)
    assert aucpr(x, rows) == pytest.approx(full.mean(), rel=1e-4)


def test_tables_of_more_than_one_tile_agree_with_the_full_matrix():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5000, 4)).astype(np.float32)
    rows = rng.permutation(5000)[:2500]
    gap = np.min(
        [np.linalg.norm(x[:, None] - x[rows[i::50]][None], axis=2).min(axis=1) for i in range(50)], axis=0
    )
    found = coverage(x, rows)
    assert (found.radius, found.aucpr) == pytest.approx((gap.max(), gap.mean()), rel=1e-3)
    unit = x[rows] / np.linalg.norm(x[rows], axis=1, keepdims=True)
    assert redundancy(x, rows) == pytest.approx(
        (unit @ unit.T - 3 * np.eye(2500)).max(axis=1).mean(), rel=1e-5
    )


def test_a_fixed_sample_estimates_and_says_that_it_does():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 5)).astype(np.float32)
    rows = rng.permutation(4000)[:1500]
    whole, part = coverage(x, rows), coverage(x, rows, most=1000)
    assert whole.exact and not part.exact and (part.measured, part.rows) == (1000, 4000)
    assert part.aucpr == pytest.approx(whole.aucpr, rel=0.1) and part.radius <= whole.radius
    assert part == coverage(x, rows, most=1000)
    assert redundancy(x, rows, most=500) == pytest.approx(redundancy(x, rows), rel=0.02)
    assert coverage(x, rows, most=4000).exact and redundancy(x, rows, most=1500) == redundancy(x, rows)


def test_redundancy_is_the_mean_cosine_to_the_most_similar_other_row():
    x = np.array([[2, 0], [1, 1], [0, 3], [0, 0]], dtype=np.float32)
    half = np.sqrt(0.5)
    assert redundancy(x, np.array([0, 1, 2])) == pytest.approx(half)
    assert redundancy(x, np.array([0, 2])) == pytest.approx(0)
    assert redundancy(x, np.array([0, 1, 3])) == pytest.approx(2 * half / 3)  # the zero row is like nothing
    assert redundancy(x, np.array([1, 1])) == pytest.approx(1)
    assert redundancy(x, np.array([0])) == 0


def test_balance_compares_shares_of_rows_with_the_pool():
    member = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], dtype=bool)
    b = balance(member, ("insult", "threat"), np.array([1, 3]))
    assert b.pool_rows.tolist() == [3, 1] and b.selected_rows.tolist() == [1, 1]
    assert b.pool_share.tolist() == [0.75, 0.25] and b.selected_share.tolist() == [0.5, 0.5]
    assert b.kl == pytest.approx(0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25))


def test_the_whole_pool_is_balanced_and_nothing_has_no_divergence():
    labels = np.array(["T1", "T2", "T1"], dtype=object)
    assert label_balance(labels, np.arange(3)).kl == 0
    assert label_balance(labels, np.array([], dtype=int)).kl == 0
    assert label_balance(labels, np.array([1])).names == ("T1", "T2")
    assert label_balance(labels, np.array([1])).selected_rows.tolist() == [0, 1]


def test_jaccard_and_what_chance_gives():
    assert jaccard([1, 2, 3], np.array([2, 3, 4])) == 0.5
    assert jaccard([], []) == 1.0
    assert expected_jaccard(30, 30, 100) == pytest.approx(0.3 / 1.7)
    rng = np.random.default_rng(0)
    draws = [jaccard(rng.permutation(200)[:60], rng.permutation(200)[:30]) for _ in range(300)]
    assert np.mean(draws) == pytest.approx(expected_jaccard(60, 30, 200), abs=0.005)
