"""Runs of one kind stand together by seed; the sentence claims no more than the intervals carry."""

from dataclasses import dataclass, field

import pytest

from core.evaluation import TradePoint
from core.evaluation.measures import overlap
from core.pipeline.arms import arms, sentence
from core.values import Evaluation, EvaluationProtocol, Measure
from ui.trade_off_figure import numbers, trade_off_figure


@dataclass(frozen=True)
class Spec:
    """What an arm reads of a repair's spec."""

    seed: int
    method: str = "dpo"
    params: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What an arm reads of a manifest."""

    spec: Spec
    strategy: str = "uniform"
    budget: int = 10


@dataclass(frozen=True)
class Run:
    """What an arm reads of a run."""

    id: str
    manifest: Manifest
    share: float = 0.1
    label: str = "run"


def run(seed, strategy="uniform", method="dpo", share=0.1):
    return Run(f"{strategy}{method}{seed}", Manifest(Spec(seed, method), strategy, int(100 * share)), share)


def point(reduction, cost, toxicity, spread=0.02):
    def around(v):
        return Measure(value=v, low=v - spread, high=v + spread, n=10)

    return TradePoint(
        label="x",
        reduction=around(reduction),
        ppl_increase=around(cost),
        toxicity=around(toxicity),
        perplexity=around(2.0),
    )


BASE = Evaluation(
    model="m",
    model_hash="",
    pool="p",
    pool_fingerprint="",
    split_hash="",
    scorer="s",
    scorer_hash="",
    protocol=EvaluationProtocol(),
    metrics={"toxicity_mean": Measure(value=0.5, low=0.45, high=0.55, n=10)},
)


def test_seeds_of_one_kind_are_one_arm_and_the_full_data_run_comes_last():
    runs = [run(1), run(0, share=1.0), run(0), run(0, strategy="saps")]
    found = arms(runs, [point(0.5 + i / 10, 0.1, 0.2) for i in range(4)])
    assert [(a.strategy, len(a.points), a.full) for a in found] == [
        ("saps", 1, False),
        ("uniform", 2, False),
        ("uniform", 1, True),
    ]
    assert [r.manifest.spec.seed for r in found[1].runs] == [0, 1]
    assert found[1].mean.reduction.value == pytest.approx(0.6)
    assert (found[1].mean.reduction.low, found[1].mean.reduction.high) == (0.5, 0.7)


def test_a_repair_whose_interval_overlaps_the_base_is_not_called_certain():
    clear = arms([run(0)], [point(0.8, 0.1, 0.1)])
    weak = arms([run(0)], [point(0.1, 0.1, 0.44)])
    assert "lie below the base" in sentence(BASE, clear) and "overlap" not in sentence(BASE, clear)
    assert "not certain" in sentence(BASE, weak)


def test_arms_with_overlapping_intervals_are_not_ranked():
    runs = [run(0), run(0, strategy="saps"), run(0, strategy="ccs")]
    said = sentence(BASE, arms(runs, [point(0.80, 0.1, 0.1), point(0.79, 0.1, 0.1), point(0.2, 0.1, 0.4)]))
    assert "Not told apart from it by these intervals: dpo · saps" in said and "ccs" not in said


def test_one_seed_is_said_and_nothing_measured_is_said():
    assert "one seed" in sentence(BASE, arms([run(0)], [point(0.8, 0.1, 0.1)]))
    nothing = point(0.8, 0.1, 0.1).model_copy(update={"reduction": Measure(value=None)})
    found = arms([run(0)], [nothing])
    assert found[0].mean is None and "no point to draw" in sentence(BASE, found)
    trade_off_figure(found, text="normal")  # draws the base alone


def test_an_unknown_bound_counts_as_overlap():
    assert overlap(Measure(value=1.0, low=0.9, high=1.1), Measure(value=5.0))
    assert not overlap(Measure(value=1.0, low=0.9, high=1.1), Measure(value=2.0, low=1.9, high=2.1))


def test_up_right_is_better_and_the_front_is_a_staircase_from_the_base():
    found = arms([run(0), run(0, strategy="saps")], [point(0.8, 0.04, 0.1), point(0.5, 0.08, 0.2)])
    figure = trade_off_figure(found, text="normal")
    assert figure.layout.xaxis.autorange == "reversed"
    front = next(t for t in figure.data if t.name and t.name.startswith("Pareto"))
    assert front.line.shape == "hv" and list(front.x) == [0, 4.0] and list(front.y) == [0, 80.0]
    assert any(t.name and "(n = 1 seed)" in t.name for t in figure.data)
    table = numbers(found)
    assert table["toxicity reduction %"].tolist() == [50.0, 80.0]


def test_the_range_of_seeds_and_the_interval_over_prompts_stand_apart():
    runs = [run(0), run(1)]
    arm = arms(runs, [point(0.5, 0.1, 0.2, spread=0.01), point(0.7, 0.1, 0.2, spread=0.05)])[0]
    seeds, prompts = arm.mean.reduction, arm.mean_over_prompts.reduction
    assert seeds.value == prompts.value == pytest.approx(0.6)
    assert (seeds.low, seeds.high, seeds.n) == (0.5, 0.7, 2) and "seed" in seeds.note
    assert (prompts.low, prompts.high) == pytest.approx((0.57, 0.63)) and prompts.n == 10
    assert "over prompts" in prompts.note
    assert not arm.one_seed


def test_two_runs_of_one_seed_are_still_one_seed():
    arm = arms([run(0), run(0)], [point(0.5, 0.1, 0.2)] * 2)[0]
    assert len(arm.runs) == 2 and arm.one_seed


def test_an_arm_without_intervals_says_so():
    bare = point(0.5, 0.1, 0.2).model_copy(update={"reduction": Measure(value=0.5, n=3)})
    found = arms([run(0)], [bare])[0].mean_over_prompts.reduction
    assert (found.value, found.low, found.note) == (0.5, None, "no intervals")
