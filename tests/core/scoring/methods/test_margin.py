"""Margin: the specification's numbers, and the log-probabilities written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.scoring import SCORES, score
from core.scoring.methods.margin import margins
from core.selection.base import Score

ROWS = [("say it", "hello there", ""), ("", "abc", ""), ("a much longer prompt", "x", ""), ("p", "", "y")]


def test_the_numbers_of_the_specification() -> None:
    import torch

    found = margins(torch.tensor([[2.0, 1, 0], [1, 3, 0], [4, 1, 1]]), torch.tensor([0, 0, 0]))
    assert found.tolist() == [1, -2, 3] and float(found.mean()) == pytest.approx(0.666667, abs=1e-6)


def test_is_the_mean_gap_of_log_probabilities_to_the_best_other_token(
    pool_of: Any, tiny_folder: Any, tiny_lm: Any, read: Any
) -> None:
    import torch

    lm, expected = tiny_lm(), []
    for prompt, response, _ in ROWS[:3]:
        with torch.no_grad():
            logits, targets = read(lm, prompt, response)
        log_p = logits.log_softmax(-1).numpy()
        gaps = [
            row[target] - max(v for i, v in enumerate(row) if i != target)
            for row, target in zip(log_p, targets, strict=True)
        ]
        expected.append(np.mean(gaps))
    for batch in (1, 2, 16):
        found = score("margin", pool_of(ROWS), {"batch": batch}, model=str(tiny_folder()))
        assert found == pytest.approx([*expected, np.nan], abs=1e-4, nan_ok=True)


def test_a_ranking_by_hardness_turns_it() -> None:
    hardness = Score(np.array([-1.0, 2.0]), SCORES["margin"].direction).hardness
    assert hardness[0] > hardness[1]
