"""The gates measure what they say and let nothing poor pass."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.demo import gates
from core.errors import BadInput


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 6, 60) / 5, rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert gates.auc(scores, truth) == pytest.approx(np.mean(pairs))
    assert gates.auc([0.1, 0.9], [False, True]) == 1
    assert math.isnan(gates.auc([0.1, 0.9], [True, True]))


def test_a_missed_or_unmeasured_gate_is_named() -> None:
    good = {name: high if name != "perplexity_normal" else low for name, (low, high) in gates.GATES.items()}
    gates.hold(good, "the demo")
    with pytest.raises(BadInput, match="perplexity_normal is 9"):
        gates.hold(good | {"perplexity_normal": 9.0}, "the demo")
    lacking = {name: value for name, value in good.items() if name != "scorer_auc_unseen"}
    assert [s.split()[0] for s in gates.missed(lacking)] == ["scorer_auc_unseen"]
    assert gates.missed(good | {"bytes": 20_000_001})
