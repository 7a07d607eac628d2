"""Cluster keywords: the formula by hand, and words that mean something."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from core.clustering import keywords
from core.clustering.keywords import class_tfidf


def test_weights_follow_the_formula() -> None:
    # two clusters, words x and y: tf is 3/4, 1/4 and 0, 1; A = (4 + 2) / 2 = 3; f = 3 and 3
    found = class_tfidf(np.array([[3.0, 1.0], [0.0, 2.0]]))
    assert found == pytest.approx(np.array([[0.75 * log(2), 0.25 * log(2)], [0.0, log(2)]]))


def test_words_of_the_cluster_win_over_words_of_all() -> None:
    texts = [
        "the kettle whistles loudly here",
        "a kettle boils here",
        "the fox runs here",
        "one fox sleeps here",
    ]
    found = keywords(texts, np.array([0, 0, 1, 1]), top=2)
    assert found[0][0] == "kettle" and found[1][0] == "fox" and "here" not in found[0]


def test_noise_is_left_out_and_clusters_without_words_are_empty() -> None:
    texts = ["kettle", "the of and 12 !", "", "fox fox fox"]
    assert keywords(texts, np.array([0, 1, 1, -1])) == {0: ["kettle"], 1: []}
    assert keywords(["", "!"], np.array([0, 1])) == {0: [], 1: []}
    assert keywords(["fox"], np.array([-1])) == {}


def test_contractions_leave_no_stumps_and_quotes_do_not_hide_words() -> None:
    assert keywords(["don't I'll we\u2019ve 'kettle' x2 naïve"], np.array([0]))[0] == ["kettle", "naïve"]


def test_ties_are_in_alphabetical_order_and_top_limits_them() -> None:
    assert keywords(["pear apple fig"], np.array([0]), top=2) == {0: ["apple", "fig"]}
