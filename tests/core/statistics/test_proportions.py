"""Wilson's interval against the literature's value and scipy."""

import pytest
import scipy.stats

from core.statistics import wilson


def test_three_of_four():
    """F-8."""
    assert wilson(3, 4) == pytest.approx((0.3006, 0.9544), abs=1e-4)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (1, 200), (77, 100), (0, 1)])
def test_agrees_with_scipy(k, n):
    theirs = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_keeps_a_width_where_all_or_none_are_toxic():
    assert wilson(0, 20)[0] == 0 < wilson(0, 20)[1]
    assert wilson(20, 20)[0] < 1 == wilson(20, 20)[1]


def test_no_units_say_nothing_and_impossible_counts_are_refused():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="5 of 4"):
        wilson(5, 4)
