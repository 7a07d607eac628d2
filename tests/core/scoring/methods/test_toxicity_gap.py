"""Toxicity gap: rejected minus response, and only where both are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.scoring import score

ROWS = [("p", "a", "x y z"), ("p", "a b", "x"), ("p", "a", ""), ("p", "", "x"), ("p", "a", "  ")]


def test_is_the_rejected_texts_toxicity_minus_the_responses(pool_of: Any, counting: Any) -> None:
    found = score("toxicity_gap", pool_of(ROWS), scorer=counting)
    assert found == pytest.approx([0.2, -0.1, np.nan, np.nan, np.nan], nan_ok=True)


def test_texts_of_rows_without_a_pair_are_not_scored(pool_of: Any, counting: Any) -> None:
    score("toxicity_gap", pool_of([("p", "a", "b"), ("p", "c", ""), ("p", "d", " ")]), scorer=counting)
    assert sorted(counting.asked) == ["a", "b"]
