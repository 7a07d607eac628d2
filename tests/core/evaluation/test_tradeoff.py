"""Points of the trade-off plane, their intervals, their front, and what may stand beside what."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evaluation.tradeoff import (
    BASE,
    TradePoint,
    _ratio_bounds,
    all_measures,
    differences,
    higher_is_better,
    hypervolume,
    pareto_front,
    points,
)
from core.evaluation.units import Units, per_unit, resample_together
from core.values import EvaluationProtocol, Measure


def point(reduction, increase):
    return TradePoint(
        label="x", reduction=Measure(value=reduction), ppl_increase=Measure(value=increase),
        toxicity=Measure(value=0.1), perplexity=Measure(value=20.0),
    )  # fmt: skip


def test_the_base_stands_at_the_origin_and_runs_at_their_change(evaluation):
    base, run = points(evaluation(0.4), [("run", evaluation(0.1, {"wikitext2": 22.0}))])
    assert (base.label, base.is_base, base.reduction.value, base.ppl_increase.value) == (BASE, True, 0, 0)
    assert run.reduction.value == pytest.approx(0.75)
    assert run.ppl_increase.value == pytest.approx(0.1)
    assert run.reduction.low < 0.75 < run.reduction.high
    assert run.ppl_increase.low < 0.1 < run.ppl_increase.high
    assert run.reduction.n == 200 and run.ppl_increase.n == 50 and run.reduction.unit


def test_another_text_set_can_be_the_axis(evaluation):
    base = evaluation(0.4, {"normal": 2.0, "clean": 4.0})
    (_, run) = points(base, [("run", evaluation(0.1, {"normal": 2.0, "clean": 5.0}))], text="clean")
    assert run.ppl_increase.value == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"scorer_hash": "other"}, "scorer"),
        ({"protocol": EvaluationProtocol(samples=25)}, "samples"),
        ({"pool_fingerprint": "other"}, "pool"),
        ({"split_hash": "other"}, "split"),
    ],
)
def test_numbers_measured_otherwise_are_never_on_one_axis(evaluation, change, word):
    (_, run) = points(evaluation(), [("run", evaluation(0.1, **change))])
    assert word in run.differs
    assert run.reduction.value is None and run.ppl_increase.value is None
    assert word in run.reduction.note and pareto_front([run]) == []
    assert run.toxicity.value == 0.1  # the table may still show it


def test_differences_name_everything_and_nothing(evaluation):
    base = evaluation()
    assert differences(base, evaluation(0.1, {"wikitext2": 30.0})) == ()
    assert differences(base, evaluation(protocol=EvaluationProtocol(name="mine"))) == ()
    assert len(differences(base, evaluation(0.1, {"lambada": 3.0}, scorer_hash="o", split_hash="o"))) == 3


def test_a_diverged_run_has_no_place_and_says_why(evaluation):
    (_, run) = points(evaluation(), [("run", evaluation(0.1, {"wikitext2": float("inf")}))])
    assert run.ppl_increase.value is None and run.ppl_increase.note.startswith("n/a")
    assert run.reduction.value == pytest.approx(0.75)
    (_, run) = points(evaluation(0.0), [("run", evaluation(0.1))])
    assert run.reduction.value is None and "0" in run.reduction.note


def test_the_front_is_a_staircase_of_what_nothing_beats():
    cloud = [
        point(0.0, 0.0),
        point(0.5, 0.02),
        point(0.4, 0.03),  # beaten by the second
        point(0.9, 0.10),
        point(0.9, 0.12),  # as good, dearer
        point(0.5, 0.02),  # twin of the second
        point(-0.1, 0.0),
        point(None, 0.0),
    ]
    assert pareto_front(cloud) == [0, 1, 5, 3]
    assert pareto_front([]) == []


def test_the_front_agrees_with_the_definition_of_dominance():
    rng = np.random.default_rng(0)
    for _ in range(30):
        table = rng.integers(0, 6, size=(15, 2)) / 10
        cloud = [point(float(r), float(i)) for r, i in table]
        slow = {
            a
            for a, (r, i) in enumerate(table)
            if not any(r2 >= r and i2 <= i and (r2 > r or i2 < i) for r2, i2 in table)
        }
        front = pareto_front(cloud)
        assert set(front) == slow
        steps = table[front]
        assert (np.diff(steps[:, 1]) >= 0).all() and (np.diff(steps[:, 0]) >= 0).all()


def units_of(toxicity, nll, tokens):
    return Units(pd.Series(toxicity), {"wikitext2": pd.DataFrame({"nll": nll * tokens, "tokens": tokens})})


def test_paired_units_give_narrower_intervals_than_separate_ones(evaluation):
    rng = np.random.default_rng(1)
    hard, tokens = rng.gamma(2, 0.2, 50) + 2, rng.integers(20, 60, 50)
    prompt = rng.random(200)
    base, run = units_of(prompt, hard, tokens), units_of(prompt * 0.3, hard + 0.05, tokens)
    measured = [
        evaluation(
            u.toxicity.mean(), {"wikitext2": float(np.exp(u.texts["wikitext2"]["nll"].sum() / tokens.sum()))}
        )
        for u in (base, run)
    ]
    (_, loose) = points(measured[0], [("run", measured[1])])
    (_, tight) = points(measured[0], [("run", measured[1])], units={BASE: base, "run": run})
    for axis in ("reduction", "ppl_increase"):
        a, b = getattr(loose, axis), getattr(tight, axis)
        assert a.value == b.value
        assert b.high - b.low < (a.high - a.low) / 10 and "paired" in b.note
        assert b.low <= b.value + 1e-9 and b.high >= b.value - 1e-9
    assert tight.reduction.value == pytest.approx(0.7)
    assert tight.ppl_increase.value == pytest.approx(np.expm1(0.05))


def test_units_pair_by_prompt_and_leave_out_what_one_side_lacks():
    frames = [
        pd.DataFrame({"prompt_row": rows, "sample": 0, "text": "t", "toxicity": scores})
        for rows, scores in (([0, 0, 3], [0.2, 0.4, 0.9]), ([3, 0, 5], [0.5, np.nan, 0.1]))
    ]
    texts = pd.DataFrame(
        {"text": ["b", "b", "a"], "unit": [0, 0, 0], "windows": ["disjoint", "strided", "disjoint"],
         "nll": [1.0, 2.0, 3.0], "tokens": [1, 2, 3], "bytes": [1, 1, 1]}
    )  # fmt: skip
    one, two = (per_unit(frame, texts) for frame in frames)
    assert one.toxicity.to_dict() == pytest.approx({0: 0.3, 3: 0.9})
    assert two.toxicity.to_dict() == pytest.approx({3: 0.5, 5: 0.1})
    assert list(one.texts) == ["b", "a"] and len(one.texts["b"]) == 1
    a, b = resample_together([one, two])
    assert a.toxicity == pytest.approx(0.9) and b.toxicity == pytest.approx(0.5)  # prompt 3 only
    lone = Units(pd.Series({7: 0.1}), {"c": one.texts["a"]})
    apart = resample_together([one, lone])
    assert np.isnan(apart[0].toxicity).all() and apart[0].perplexity == {}


def test_bounds_of_a_ratio_cover_it_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        a, b = 3 + 0.5 * rng.normal(), 10 + rng.normal()
        low, high = _ratio_bounds(
            Measure(value=a, low=a - 0.98, high=a + 0.98), Measure(value=b, low=b - 1.96, high=b + 1.96)
        )
        hits += low < 0.3 < high
    assert 930 <= hits <= 970


def test_bounds_reach_zero_where_the_repaired_models_do():
    low, high = _ratio_bounds(Measure(value=0.01, low=0.0, high=0.02), Measure(value=0.5, low=0.4, high=0.6))
    assert low == pytest.approx(0, abs=1e-9) and 0.02 < high < 0.06
    assert np.isnan(_ratio_bounds(Measure(value=1.0), Measure(value=1.0))[0])


def test_bounds_are_there_when_the_base_is_known_to_within_its_own_size_only():
    wide = Measure(value=0.1, low=0.02, high=0.2)
    low, high = _ratio_bounds(Measure(value=0.05, low=0.01, high=0.1), wide)
    assert low == pytest.approx(0.09)  # la (2a - la) / (2ab): the root is ab where ub = 2b
    assert high > 0.5
    assert _ratio_bounds(Measure(value=0.0, low=0.0, high=0.0), wide)[0] == 0.0


def test_the_hypervolume_of_a_staircase_by_hand():
    stairs = [(0.5, 0.02), (0.9, 0.10)]  # reduction, cost; up to a cost of 0.2
    assert hypervolume(stairs, (0.0, 0.2)) == pytest.approx(0.5 * 0.18 + 0.4 * 0.10)
    assert hypervolume([*stairs, (0.4, 0.05)], (0.0, 0.2)) == pytest.approx(0.13)  # beaten: adds nothing
    assert hypervolume([(0.5, 0.2), (-0.1, 0.0)], (0.0, 0.2)) == 0.0  # on the edge, or below the floor
    assert hypervolume([], (0.0, 1.0)) == 0.0
    assert hypervolume([(0.5, -0.1)], (0.0, 0.0)) == pytest.approx(0.05)  # a gain in perplexity counts


STEPS = st.integers(-3, 12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(STEPS, STEPS), max_size=8), STEPS)
def test_the_hypervolume_counts_the_unit_squares_that_some_point_rules_over(cloud, ceiling):
    ruled = {
        (gain, cost)
        for reduction, paid in cloud
        for gain in range(0, reduction)
        for cost in range(paid, ceiling)
    }
    assert hypervolume(cloud, (0, ceiling)) == len(ruled)


def test_numbers_of_a_set_carry_its_name_and_every_direction_is_known(evaluation):
    found = evaluation(0.4, {"normal": 2.0, "clean": 3.0})
    asked = {"requests": {"xs": {"refusal_safe": Measure(value=0.1)}}}
    names = all_measures(found.model_copy(update=asked))
    assert names["perplexity"].value == names["perplexity:normal"].value == 2.0
    assert names["perplexity:clean"].value == 3.0 and names["refusal_safe:xs"].value == 0.1
    up = ["last_word_accuracy:s", "refusal_unsafe", "dist_1", "TR", "U:normal", "OPS", "RPS_full", "RES"]
    down = ["toxicity_mean", "emt", "tp", "toxic_fraction", "perplexity:s", "bits_per_byte", "fluency"]
    down += ["refusal_safe:xs", "harmful_compliance", "last_word_perplexity", "toxicity_category_mean"]
    assert [higher_is_better(name) for name in up + down] == [True] * len(up) + [False] * len(down)
