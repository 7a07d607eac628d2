"""Few seeds: Student's t, and what it adds to the interval over prompts."""

import math

import numpy as np
import pytest

from core.statistics import Interval, over_seeds, widened


def test_three_seeds_by_hand():
    found = over_seeds([1.0, 2.0, 3.0])  # sd 1, t(2) at 97.5 % 4.302653
    assert found.value == 2.0
    assert (found.high - found.low) / 2 == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)


def test_one_seed_has_no_interval_and_none_no_value():
    assert over_seeds([0.5]).value == 0.5 and np.isnan(over_seeds([0.5]).low)
    assert np.isnan(over_seeds([]).value)


def test_a_t_interval_over_seeds_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = sum(low < 0 < high for _, low, high in (over_seeds(rng.normal(size=3)) for _ in range(2000)))
    assert 0.935 <= hits / 2000 <= 0.965


def test_independent_errors_add_in_squares_on_each_side():
    both = widened(Interval(10.0, 7.0, 14.0), Interval(10.0, 6.0, 14.0))  # 3 and 4 below; 4 and 4 above
    assert both == pytest.approx((10.0, 5.0, 10.0 + math.sqrt(32)))
    assert np.isnan(widened(Interval(1.0, 0.0, 2.0), over_seeds([1.0])).low)
