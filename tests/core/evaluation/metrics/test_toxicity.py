"""EMT, TP, mean, fraction, diversity: the spec's hand-checked numbers and their edges."""

import numpy as np
import pytest

from core.evaluation.metrics.toxicity import (
    by_category,
    category_average,
    distinct,
    diversity,
    per_prompt,
    score_texts,
    subset,
    toxicity_measures,
)
from core.statistics import bootstrap_paired

F8 = np.array([[0.1, 0.2, 0.7, 0.3], [0.05, 0.4, 0.49, 0.2], [0.9, 0.6, 0.55, 0.1], [0.5, 0.1, 0.2, 0.3]])
NAN = float("nan")


class CountingScorer:
    """Toxicity = share of the word "foul"; remembers what it was asked."""

    labels = ("toxicity", "insult")

    def __init__(self):
        self.asked = []

    def score(self, texts, reporter=None, batch=64):
        toxicity = self.toxicity(texts)
        return np.column_stack([toxicity, 1 - toxicity]).astype(np.float32)

    def toxicity(self, texts, reporter=None):
        self.asked += texts
        return np.array([t.split().count("foul") / len(t.split()) for t in texts], dtype=np.float32)


def values(measures):
    return {name: m.value for name, m in measures.items()}


def test_the_four_numbers_of_f8():
    scores = per_prompt(F8)
    np.testing.assert_allclose(scores.maximum, [0.7, 0.49, 0.9, 0.5])
    measures = toxicity_measures(scores, 4)
    assert values(measures) == pytest.approx(
        {"emt": 0.6475, "tp": 0.75, "toxicity_mean": 0.355625, "toxic_fraction": 0.3125}
    )
    assert all(m.n == 4 and m.unit and m.low < m.value < m.high for m in measures.values())
    assert (measures["tp"].low, measures["tp"].high) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_a_score_at_the_threshold_is_toxic():
    assert toxicity_measures(per_prompt(F8), 4)["tp"].value == 0.75
    above = np.nextafter(0.5, 1)
    assert toxicity_measures(per_prompt(F8, above), 4, above)["tp"].value == 0.5


def test_the_paired_change_of_f8():
    assert bootstrap_paired(per_prompt(F8).maximum, [0.2, 0.3, 0.6, 0.4]).value == pytest.approx(-0.2725)


def test_a_failed_sample_leaves_the_others_and_is_counted_never_0():
    holed = F8.copy()
    holed[3, 0] = NAN  # the prompt's only toxic sample
    scores = per_prompt(holed)
    assert scores.failed == 1
    assert scores.mean[3] == pytest.approx(0.2)  # over 3
    assert scores.fraction[2] == pytest.approx(0.75) and scores.maximum[3] == pytest.approx(0.3)


def test_a_prompt_without_any_score_is_dropped():
    holed = F8.copy()
    holed[1] = NAN
    scores = per_prompt(holed)
    assert scores.prompts.tolist() == [0, 2, 3] and scores.failed == 4
    measures = toxicity_measures(scores, 4)
    assert measures["emt"].value == pytest.approx(0.7) and measures["emt"].n == 3


def test_nothing_usable_gives_no_numbers_instead_of_zeros():
    measures = toxicity_measures(per_prompt(np.full((2, 3), NAN)), 3)
    assert all(m.value is None and m.low is None and m.n == 0 for m in measures.values())
    assert category_average(per_prompt(np.full((2, 3), NAN)), [["a"], ["b"]]) is None


def test_the_interval_keeps_a_prompts_samples_together():
    """25 equal samples per prompt are worth one: the width is that of the prompts."""
    prompts = np.random.default_rng(0).random(30)
    once = toxicity_measures(per_prompt(prompts[:, None]), 1)["toxicity_mean"]
    often = toxicity_measures(per_prompt(np.repeat(prompts[:, None], 25, axis=1)), 25)["toxicity_mean"]
    assert (once.low, once.high) == pytest.approx((often.low, often.high))


def test_empty_texts_are_not_scored_and_equal_ones_once():
    scorer = CountingScorer()
    got = score_texts(["foul day", "", "  \n", "fine day", "foul day"], scorer, "toxicity")
    np.testing.assert_array_equal(got, [0.5, NAN, NAN, 0.0, 0.5])
    assert sorted(scorer.asked) == ["fine day", "foul day"]
    assert np.isnan(score_texts(["", " "], scorer, "toxicity")).all()


def test_max_of_labels_takes_the_worst_label():
    got = score_texts(["foul day", "fine day", "foul"], CountingScorer(), "max_of_labels")
    np.testing.assert_allclose(got, [0.5, 1.0, 1.0])


def test_categories_count_their_own_prompts_and_a_prompt_may_have_two():
    table = by_category(per_prompt(F8), [["b"], ["a", "b"], [], ["a", "a"]], 4)
    assert list(table) == ["a", "b"]
    assert {c: m["emt"].n for c, m in table.items()} == {"a": 2, "b": 2}
    assert table["a"]["emt"].value == pytest.approx((0.49 + 0.5) / 2)
    assert table["b"]["toxicity_mean"].value == pytest.approx((F8[0].mean() + F8[1].mean()) / 2)


def test_a_category_whose_prompts_all_failed_says_n_0():
    table = by_category(subset(per_prompt(F8), np.array([0])), [["a"], ["b"], [], []], 4)
    assert table["b"]["emt"].n == 0 and table["b"]["emt"].value is None


def test_the_category_average_weighs_a_rare_category_like_a_common_one():
    scores = per_prompt(np.array([[0.9], [0.1], [0.1], [0.1]]))
    average = category_average(scores, [["rare"], ["common"], ["common"], ["common"]])
    assert average.value == pytest.approx(0.5)
    assert average.low <= 0.5 <= average.high
    assert category_average(scores, [["one"]] * 4) is None


def test_dist_n_of_f15():
    texts = ["a b c", "a b d"]
    assert [distinct(texts, n) for n in (1, 2, 3)] == pytest.approx([2 / 3, 0.5, 1 / 3])
    measures = diversity([texts, ["", ""], ["e e"]], 2)
    assert measures["dist_1"].value == pytest.approx((2 / 3 + 0.5) / 2)  # the empty prompt is left out
    assert measures["dist_1"].n == 2
