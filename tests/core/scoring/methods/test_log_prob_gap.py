"""Log-probability gap: the good text's minus the toxic one's, and by default no length in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.scoring import SCORES, score
from core.selection.base import Score

ROWS = [("say it", "hello there", "no"), ("", "abc", "a longer one"), ("p", "a", ""), ("p", "", "b")]


@pytest.mark.parametrize("normalise", ["mean", "sum"])
def test_is_good_minus_bad_in_log_probability(
    normalise: str, pool_of: Any, tiny_folder: Any, tiny_lm: Any, read: Any
) -> None:
    import torch

    def log_p(prompt: str, text: str) -> float:
        with torch.no_grad():
            logits, targets = read(tiny_lm(), prompt, text)
        return -float(torch.nn.functional.cross_entropy(logits, targets, reduction=normalise))

    expected = [log_p(p, good) - log_p(p, bad) for p, good, bad in ROWS[:2]]
    for batch in (1, 3, 16):
        params = {"batch": batch, "normalise": normalise}
        found = score("log_prob_gap", pool_of(ROWS), params, model=str(tiny_folder()))
        assert found == pytest.approx([*expected, np.nan, np.nan], abs=1e-4, nan_ok=True)


def test_swapping_the_sides_turns_the_sign(pool_of: Any, tiny_folder: Any) -> None:
    here, there = (
        score("log_prob_gap", pool_of(rows), model=str(tiny_folder()))
        for rows in (ROWS[:2], [(p, bad, good) for p, good, bad in ROWS[:2]])
    )
    assert here == pytest.approx(-there, abs=1e-5) and abs(here).min() > 1e-3


def test_a_pair_whose_toxic_text_is_preferred_counts_as_hard() -> None:
    hardness = Score(np.array([-1.0, 2.0]), SCORES["log_prob_gap"].direction).hardness
    assert hardness[0] > hardness[1]


def test_by_default_length_does_not_count(pool_of: Any, tiny_folder: Any) -> None:
    params = SCORES["log_prob_gap"].params
    assert params() == params(normalise="mean")
    long = [("a a a a a a", "a" * n, "a" * 5) for n in (5, 40)]
    mean, total = (
        score("log_prob_gap", pool_of(long), {"normalise": n}, model=str(tiny_folder()))
        for n in ("mean", "sum")
    )
    assert abs(np.diff(mean)) < abs(np.diff(total)) / 10
