"""Ranks with ties against scipy."""

import numpy as np
import scipy.stats

from core.statistics import ranks


def test_equal_values_share_their_mean_rank_as_in_scipy():
    values = np.random.default_rng(0).integers(0, 9, 60)
    np.testing.assert_array_equal(ranks(values), scipy.stats.rankdata(values))


def test_a_missing_value_has_no_rank_and_takes_none():
    np.testing.assert_array_equal(ranks([3.0, np.nan, 1.0]), [2.0, np.nan, 1.0])


def test_nothing_ranked_is_nothing():
    assert ranks([]).shape == (0,)
