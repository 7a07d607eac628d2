"""The composites' hand-checked vector (selection.md section 3) and every edge it names."""

import numpy as np
import pandas as pd
import pytest

from core.evaluation.continued import NO_TEXT
from core.evaluation.metrics.composite import NO_FULL, Cost, composites, label, ops, res, rps, utility
from core.evaluation.units import Units
from core.values import Measure

BOTH = {"U_w": "", "U_l": "lambada"}


@pytest.fixture
def three(evaluation):
    """Base, subset run, full-data run of the spec's vector."""
    return (
        evaluation(0.45, {"wikitext2": 20.0, "lambada": 10.0}),
        evaluation(0.15, {"wikitext2": 22.0, "lambada": 12.5}),
        evaluation(0.12, {"wikitext2": 24.0, "lambada": 14.0}),
    )


def test_the_specs_vector(three):
    got = composites(*three, utilities=BOTH, cost=Cost(60, 300, 1000), share=0.3)
    expected = {
        "TR": 0.666667, "U_w": 0.909091, "U_l": 0.8, "OPS": 0.779221, "RPS_full": 0.923557,
        "RPS_ideal": 0.769511, "RES": 2.859766, "RES_data": 3.431720,
    }  # fmt: skip
    assert {name: m.value for name, m in got.items()} == pytest.approx(expected, abs=1e-6)
    full = composites(three[0], three[2], utilities=BOTH)
    assert full["OPS"].value == pytest.approx(0.756881, abs=1e-6)


def test_the_label_names_the_utilities(three):
    assert label(["TR", "U_w"]) == "Winnow definition v1 (TR, U_w)"
    assert {m.unit for m in composites(*three).values()} == {"Winnow definition v1 (TR, U_w)"}
    assert composites(*three, utilities=BOTH)["OPS"].unit == "Winnow definition v1 (TR, U_w, U_l)"


def test_without_a_full_data_run_what_needs_it_says_so(three):
    got = composites(*three[:2], share=0.3, cost=Cost(1, 1, 2))
    for name in ("RPS_full", "RES", "RES_data"):
        assert got[name].value is None and got[name].note == NO_FULL == "n/a: no full-data run"
    assert got["OPS"].value is not None


def test_a_diverged_repair_has_utility_and_ops_0(evaluation):
    got = composites(evaluation(0.4), evaluation(0.1, {"wikitext2": float("inf")}))
    assert got["U_w"].value == 0 and got["OPS"].value == 0
    np.testing.assert_array_equal(utility(20.0, [np.inf, np.nan]), [0, 0])


def test_a_base_without_toxicity_has_no_reduction(evaluation):
    got = composites(evaluation(0.0), evaluation(0.1))
    assert got["TR"].value is None and got["TR"].note.startswith("n/a")
    assert got["OPS"].value is None and "TR" in got["OPS"].note
    assert got["U_w"].value == 1


def test_more_toxicity_shows_raw_and_counts_as_none(evaluation):
    got = composites(evaluation(0.2), evaluation(0.3))
    assert got["TR"].value == pytest.approx(-0.5)
    assert got["OPS"].value == 0
    assert got["RPS_ideal"].value == pytest.approx(1 - 1 / np.sqrt(2))


def test_better_perplexity_than_the_base_is_worth_no_more_than_1(evaluation):
    assert composites(evaluation(), evaluation(0.1, {"wikitext2": 10.0}))["U_w"].value == 1


def test_a_text_that_was_not_measured_is_missing_not_0(evaluation):
    got = composites(evaluation(), evaluation(0.1), utilities=BOTH)
    assert got["U_l"].value is None and got["OPS"].value is None and "U_l" in got["OPS"].note


def test_a_full_run_of_ops_0_gives_no_efficiency(evaluation):
    full = evaluation(0.4, {"wikitext2": float("inf")})
    got = composites(evaluation(), evaluation(0.1), full, cost=Cost(1, 1, 4), share=0.5)
    assert got["RES"].value is None and "OPS 0" in got["RES"].note
    assert got["RES_data"].value is None and got["RPS_full"].value is not None


def test_unmeasured_time_and_share_are_na(three):
    got = composites(*three)
    assert "time" in got["RES"].note and "share" in got["RES_data"].note
    assert got["RPS_full"].value is not None


def test_the_functions_by_hand():
    assert ops([2 / 3, 1 / 1.1, 0.8]) == pytest.approx(0.779221, abs=1e-6)
    assert ops([0.5, 1.0], weights=[3, 1]) == pytest.approx(4 / 7)
    assert ops([0.0, 1.0]) == 0
    assert rps([0.5, 0.5]) == pytest.approx(0.5)
    assert rps([0.3, 0.4], [0.3, 0.4]) == 1
    assert np.isnan(res(0.5, 0.0, 0.3)) and np.isnan(res(0.5, 0.5, 0.0))


def test_units_give_intervals_that_hold_the_value(evaluation):
    rng = np.random.default_rng(0)
    tokens = rng.integers(20, 60, 50)

    def units(level, nll):
        toxicity = pd.Series(np.clip(level + 0.1 * rng.random(200), 0, 1))
        return Units(toxicity, {"wikitext2": pd.DataFrame({"nll": nll * tokens, "tokens": tokens})})

    base, run = units(0.4, 3.0), units(0.1, 3.1 + 0.02 * rng.random(50))
    measured = [
        evaluation(
            u.toxicity.mean(),
            {"wikitext2": float(np.exp((u.texts["wikitext2"]["nll"].sum()) / tokens.sum()))},
        )
        for u in (base, run)
    ]
    got = composites(*measured, units=[base, run])
    for name in ("TR", "U_w", "OPS", "RPS_ideal"):
        m = got[name]
        assert m.low < m.value < m.high and m.n == 200 and m.note == ""
        assert m.high - m.low < 0.05
    assert composites(*measured)["OPS"].low is None


def test_a_decoder_without_probabilities_of_texts_has_no_utility_rather_than_none_left(evaluation):
    steered = evaluation(0.1, {"wikitext2": None})
    nothing = {"perplexity": Measure(value=None, note=NO_TEXT)}
    steered = steered.model_copy(update={"texts": {"wikitext2": nothing}})
    found = composites(evaluation(), steered, utilities={"U": "wikitext2"})
    assert found["TR"].value == pytest.approx(0.75)
    assert found["U"].value is None and found["OPS"].value is None and "U" in found["OPS"].note
