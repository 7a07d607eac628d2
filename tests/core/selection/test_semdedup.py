"""SemDeDup: which of near-duplicates stay, whatever the blocks, and what becomes of pins and budgets."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import core.selection.semdedup
from core.errors import MissingInput
from core.selection import Candidates, select
from core.selection.semdedup import near_duplicates
from core.values import Budget, SemDedup

ANGLES = np.deg2rad([0, 5, 40, 42, 90])
SPEC = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # selection 9.3


def pool(x, labels=None, **fields):
    labels = np.zeros(len(x), dtype=np.int64) if labels is None else labels
    clusters = {"kmeans": labels, "hdbscan": labels}
    return Candidates(n=len(x), vectors={"embedding": np.asarray(x)}, clusters=clusters, **fields)


def kept(found):
    return set(np.flatnonzero(found == -1).tolist())


def stands(candidates, seed=0, **given):
    return near_duplicates(candidates, SemDedup(**given), np.random.default_rng(seed))


@pytest.mark.parametrize("eps", [0.005, 0.2])
def test_keeps_the_rows_of_the_hand_checked_case(eps):
    assert kept(stands(pool(SPEC), eps=eps)) == {0, 3, 4}


def test_easy_first_keeps_the_row_nearest_the_centre_instead():
    assert kept(stands(pool(SPEC), eps=0.005, keep="easy")) == {1, 2, 4}


def test_every_row_set_aside_names_a_kept_row_at_the_end_of_the_chain():
    chain = np.deg2rad([0, 10, 20, 60])  # 10 is near 0, 20 is near 10 and not near 0
    x = np.stack([np.cos(chain), np.sin(chain)], axis=1)
    found = stands(pool(x), eps=1 - np.cos(np.deg2rad(11)))
    assert found.tolist() == [-1, 0, 0, -1]


def test_rows_of_two_clusters_never_stand_for_each_other():
    found = stands(pool(np.ones((4, 2)), labels=np.array([0, 1, 0, 1])))
    assert found.tolist() == [-1, -1, 0, 1]


def test_exact_duplicates_go_even_at_eps_zero_and_zero_vectors_never():
    x = np.array([[1.0, 3.0, 7.0]] * 3 + [[0.0, 0.0, 0.0]] * 2, dtype=np.float32)
    assert kept(stands(pool(x), eps=0.0)) == {0, 3, 4}


def test_a_pin_stays_and_stands_for_its_near_duplicates():
    x = np.ones((4, 2))
    assert kept(stands(pool(x, taken=np.array([2, 3])))) == {2, 3}


def test_a_banned_row_stands_for_nobody():
    banned = np.array([False, True, True, True])
    assert stands(pool(np.ones((4, 2)), allowed=banned)).tolist() == [-1, -1, 1, 1]


def slow(x, order, eps):
    """One pair after another, in the order of looking."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return {
        int(row)
        for i, row in enumerate(order)
        if all(unit[row] @ unit[other] <= 1 - eps - 1e-6 for other in order[:i])
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**16), st.sampled_from([0.0, 0.01, 0.1, 0.4]))
def test_equals_the_slow_obvious_way_in_any_block_size(n, seed, eps):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) + np.array([3, 0, 0])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    middle = unit.mean(axis=0) / np.linalg.norm(unit.mean(axis=0))
    order = np.lexsort((np.arange(n), np.round(unit @ middle, 6)))
    before = core.selection.semdedup.BLOCK
    try:
        core.selection.semdedup.BLOCK = 7 * n
        assert kept(stands(pool(x), eps=eps)) == slow(x, order, eps)
    finally:
        core.selection.semdedup.BLOCK = before


def test_which_random_twin_stays_depends_on_the_seed_alone():
    x = np.ones((50, 2))
    assert kept(stands(pool(x), seed=1, keep="random")) == kept(stands(pool(x), seed=1, keep="random"))
    assert len({tuple(kept(stands(pool(x), seed=s, keep="random"))) for s in range(8)}) > 1


def test_a_strategy_never_takes_a_row_set_aside_and_the_shortfall_is_said():
    picked = select("uniform", pool(np.ones((6, 2))), 4, dedup=SemDedup())
    assert picked.rows.tolist() == [0] and picked.shortfall == 3
    assert "5 are set aside as near-duplicates: 3 rows of the budget cannot be filled" in picked.warnings[0]
    assert picked.stands_for.tolist() == [-1, 0, 0, 0, 0, 0]


def test_percent_counts_all_eligible_rows_also_those_set_aside():
    x = np.concatenate(
        [np.ones((5, 2)), [[1.0, -1.0]], [[-1.0, 1.0]], [[-1.0, -1.0]], [[0, 1.0]], [[1.0, 0]]]
    )
    picked = select("uniform", pool(x), Budget(percent=40.0), dedup=SemDedup(eps=0.01))
    assert len(picked.rows) == 4


def test_the_filter_is_made_once_for_the_same_candidates():
    candidates = pool(SPEC)
    for _ in range(2):
        select("uniform", candidates, 2, dedup=SemDedup())
    assert len(candidates.memo) == 1


def test_missing_clusters_are_named():
    with pytest.raises(MissingInput, match="cluster:kmeans"):
        select("uniform", replace(pool(SPEC), clusters={}), 2, dedup=SemDedup())
