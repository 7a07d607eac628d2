"""Bootstrap intervals against closed forms, exact enumeration and scipy."""

import itertools

import numpy as np
import pytest
import scipy.stats

from core.statistics import bootstrap as module
from core.statistics import (
    bootstrap_mean,
    bootstrap_paired,
    bootstrap_ratio,
    percentile_interval,
    resampled_ratios,
    resampled_sums,
    standard_error,
)


def test_spread_of_two_values_is_that_of_the_exact_bootstrap_not_the_closed_form():
    """F-17."""
    means = resampled_sums([[0.0], [1.0]])[:, 0] / 2
    assert standard_error([0, 1], of_bootstrap=True) == pytest.approx(0.353553, abs=1e-6)
    assert standard_error([0, 1]) == pytest.approx(0.5)
    assert means.std() == pytest.approx(0.353553, abs=0.01)


def test_resamples_follow_the_exact_distribution_of_all_resamples():
    data = np.array([1.0, 2.0, 6.0])
    exact = np.array([np.mean(pick) for pick in itertools.product(data, repeat=3)])
    drawn = resampled_sums(data[:, None], resamples=40_000)[:, 0] / 3
    for value in np.unique(exact):
        share = np.isclose(exact, value).mean()
        assert np.isclose(drawn, value).mean() == pytest.approx(share, abs=0.01)


def test_interval_agrees_with_scipys_percentile_bootstrap():
    data = np.random.default_rng(1).gamma(2.0, size=60)
    ours = bootstrap_mean(data)
    theirs = scipy.stats.bootstrap(
        (data,), np.mean, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert ours.value == pytest.approx(data.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_blocks_change_nothing(monkeypatch):
    table = np.random.default_rng(0).random((7, 2))
    whole = resampled_sums(table, resamples=100)
    monkeypatch.setattr(module, "BLOCK", 21)
    np.testing.assert_allclose(resampled_sums(table, resamples=100), whole)


def test_resamples_of_two_calls_stay_paired():
    x = np.random.default_rng(0).random(9)
    both = resampled_sums(np.column_stack([x, 2 * x]), resamples=50)
    np.testing.assert_allclose(resampled_sums(2 * x[:, None], resamples=50)[:, 0], both[:, 1])
    np.testing.assert_allclose(both[:, 1], 2 * both[:, 0])


def test_every_resample_draws_as_many_units_as_there_are():
    assert (resampled_sums(np.ones((13, 1)), resamples=500) == 13).all()


def test_paired_change_has_no_width_where_every_unit_changes_alike():
    """F-8 first: repaired maxima against base maxima; then a constant shift of a wide spread."""
    change = bootstrap_paired([0.7, 0.49, 0.9, 0.5], [0.2, 0.3, 0.6, 0.4])
    assert change.value == pytest.approx(-0.2725)
    assert change.low < -0.2725 < change.high < 0
    spread = np.linspace(0, 100, 50)
    assert bootstrap_paired(spread, spread - 1) == pytest.approx((-1, -1, -1))


def test_a_unit_missing_on_one_side_is_left_out_of_the_pair():
    assert bootstrap_paired([1.0, np.nan, 3.0], [2.0, 100.0, 4.0]).value == pytest.approx(1.0)


def test_perplexity_is_a_ratio_of_sums_not_a_mean_of_perplexities():
    """F-9."""
    interval = bootstrap_ratio([2.0 * 1023, 3.0 * 511], [1023, 511], np.exp)
    assert interval.value == pytest.approx(10.310018, abs=1e-6)
    assert interval.low == pytest.approx(np.exp(2))
    assert interval.high == pytest.approx(np.exp(3))
    assert bootstrap_ratio([np.log(2), np.log(8)], [1, 1], np.exp).value == pytest.approx(4.0)
    assert bootstrap_ratio([3 * np.log(2), np.log(8)], [3, 1], np.exp).value == pytest.approx(2.828427)


def test_what_is_not_finite_gives_no_bounds():
    assert np.isnan(bootstrap_ratio([1.0, np.nan], [1, 1], np.exp).value)
    huge = bootstrap_ratio([1e9, 1e9], [1, 1], np.exp)
    assert np.isinf(huge.value)
    broken = bootstrap_ratio([1.0, np.inf], [1, 1])
    assert np.isinf(broken.value) and np.isnan(broken.low) and np.isnan(broken.high)


def test_one_unit_has_a_value_but_no_interval_and_none_has_nothing():
    one, none = bootstrap_mean([0.3]), bootstrap_mean([])
    assert one.value == 0.3 and np.isnan(one.low) and np.isnan(one.high)
    assert np.isnan(none.value)
    assert np.isnan(bootstrap_ratio([0.0, 0.0], [0, 0]).value)
    assert np.isnan(bootstrap_ratio([2.0, 0.0], [1, 0]).low)  # the empty unit counts for nothing


def test_level_sets_the_share_between_the_bounds():
    drawn = np.arange(101, dtype=float)
    assert percentile_interval(50, drawn, level=0.9)[1:] == pytest.approx((5, 95))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_mean(rng.normal(size=80), resamples=500)[1:]
        hits += low < 0 < high
    assert 178 <= hits <= 199  # 95 % of 200 is 190


def test_ratios_of_several_models_are_drawn_together_and_stand_first_as_measured():
    rng = np.random.default_rng(3)
    tops, bottoms = rng.random((20, 2)), rng.integers(1, 9, (20, 2)).astype(float)
    found = resampled_ratios(np.column_stack([tops, tops[:, 0]]), np.column_stack([bottoms, bottoms[:, 0]]))
    assert found[0, :2] == pytest.approx(tops.sum(axis=0) / bottoms.sum(axis=0))
    assert (found[:, 0] == found[:, 2]).all()
    alone = bootstrap_ratio(tops[:, 1], bottoms[:, 1])
    assert percentile_interval(found[0, 1], found[1:, 1]) == pytest.approx(alone)  # the same draws


def test_a_unit_that_a_model_lacks_has_no_part_in_its_ratio():
    found = resampled_ratios([[1.0, 0.0], [3.0, 3.0], [5.0, 5.0]], [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    assert found[0].tolist() == [3.0, 4.0]
    known = found[~np.isnan(found[:, 1]), 1]  # NaN: only the unit it lacks was drawn
    assert set(np.round(known, 6)) == {3.0, 4.0, 5.0, round(11 / 3, 6), round(13 / 3, 6)}


def test_a_column_that_is_not_finite_says_nothing_and_spoils_no_other():
    found = resampled_ratios([[np.inf, 1.0], [1.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]])
    assert np.isinf(found[0, 0]) and not np.isfinite(found[1:, 0]).any()
    assert np.isfinite(found[:, 1]).all()
    assert np.isnan(resampled_ratios(np.empty((0, 2)), np.empty((0, 2)))).all()
