"""IRepair's headline numbers from its own table (repair-and-evaluation A8, F-11)."""

import numpy as np
import pytest

from core.evaluation.headline import (
    Levels,
    average_of_ratios,
    headline,
    headline_by_model,
    less_disruption,
    more_effective,
    ratio_of_averages,
)
from core.statistics import standard_error

TOXICITY = {"base": [41.53, 48.22, 40.89], "dpo": [14.97, 22.71, 12.26], "irepair": [7.74, 10.67, 5.69],
            "irepair_kl": [5.11, 4.68, 4.94]}  # fmt: skip
PERPLEXITY = {"base": [19.44, 17.40, 14.56], "dpo": [24.10, 21.02, 16.70], "irepair": [20.93, 18.16, 16.56],
              "irepair_kl": [22.35, 18.15, 16.52]}  # fmt: skip


def both(method):
    return (
        -100 * ratio_of_averages(TOXICITY["base"], TOXICITY[method]),
        100 * ratio_of_averages(PERPLEXITY["base"], PERPLEXITY[method]),
    )


def test_the_published_percentages():
    assert both("irepair_kl") == pytest.approx((88.72, 10.93), abs=0.01)
    assert both("dpo") == pytest.approx((61.77, 20.27), abs=0.01)


@pytest.mark.parametrize(
    ("method", "effective", "less"), [("irepair_kl", 43.63, 46.07), ("irepair", 32.02, 59.21)]
)
def test_the_published_comparison_with_dpo(method, effective, less):
    ours, theirs = both(method), both("dpo")
    assert 100 * more_effective(ours[0], theirs[0]) == pytest.approx(effective, abs=0.01)
    assert 100 * less_disruption(ours[1], theirs[1]) == pytest.approx(less, abs=0.01)


def test_the_published_spread_is_the_standard_error_over_three_models():
    assert standard_error(TOXICITY["base"]) == pytest.approx(2.34, abs=0.01)


def test_the_average_of_ratios_is_another_number():
    assert average_of_ratios([1, 10], [2, 10]) == pytest.approx(0.5)
    assert ratio_of_averages([1, 10], [2, 10]) == pytest.approx(1 / 11)
    assert np.isclose(average_of_ratios([4], [3]), ratio_of_averages([4], [3]))


def levels(method):
    return Levels(TOXICITY[method], PERPLEXITY[method])


@pytest.mark.parametrize(
    ("method", "effective", "less"), [("irepair_kl", 43.63, 46.07), ("irepair", 32.02, 59.21)]
)
def test_the_abstracts_numbers_come_out_of_table_1(method, effective, less):
    found = headline(levels("base"), levels(method), levels("dpo"))
    assert 100 * found.effective == pytest.approx(effective, abs=0.01)
    assert 100 * found.disruption == pytest.approx(less, abs=0.01)
    assert (100 * found.other_reduction, 100 * found.other_increase) == pytest.approx(
        (61.77, 20.27), abs=0.01
    )


def test_ratios_per_model_averaged_last_are_other_numbers():
    found = headline_by_model(levels("base"), levels("irepair_kl"), levels("dpo"))
    by_hand = [
        (1 - t / b) / (1 - d / b) - 1
        for t, d, b in zip(TOXICITY["irepair_kl"], TOXICITY["dpo"], TOXICITY["base"], strict=True)
    ]
    assert found.effective == pytest.approx(np.mean(by_hand))
    paper = headline(levels("base"), levels("irepair_kl"), levels("dpo"))
    assert (100 * found.effective, 100 * found.disruption) == pytest.approx((44.46, 41.75), abs=0.01)
    assert (100 * paper.effective, 100 * paper.disruption) == pytest.approx((43.63, 46.07), abs=0.01)
    one = [Levels(41.53, 19.44), Levels(7.74, 20.93), Levels(14.97, 24.10)]
    assert headline_by_model(*one) == headline(*one)  # of one model there is one ratio


def test_there_is_no_multiple_of_a_repair_that_repairs_or_disrupts_nothing():
    assert np.isnan(more_effective(0.5, 0.0)) and np.isnan(more_effective(0.5, -0.1))
    assert np.isnan(less_disruption(0.1, 0.0)) and np.isnan(less_disruption(0.1, -0.2))
    assert less_disruption(-0.1, 0.2) == pytest.approx(1.5)  # it even gained
