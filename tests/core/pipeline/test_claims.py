"""The papers' claims are judged by what the intervals carry, over seeds and prompts, and by no more."""

import numpy as np
import pytest

from core.pipeline.claims import gap, judge, method_headline, pairs
from core.pipeline.study_numbers import Numbers
from core.values.study import StudySpec

RNG = np.random.default_rng(0)
PROMPTS, DOCUMENTS = RNG.uniform(0.2, 0.9, 40), RNG.uniform(0.8, 1.2, 40)
BASE = (PROMPTS, DOCUMENTS)
SEEDS = (0, 1, 2)


def run(left, added, noise=0.0, seed=0):
    """A share of the base's toxicity left, and surprise added; `noise` moves each seed's level."""
    moved = left + noise * (-1.0, 0.1, 0.9)[seed]
    return PROMPTS * moved, DOCUMENTS + added


def spec(strategies=("saps", "uniform"), methods=("dpo",), **params):
    return StudySpec(
        name="s",
        pool="p",
        strategies=[{"strategy": s, "params": params.get(s, {})} for s in strategies],
        budgets=[{"rows": 10}],
        methods=[{"method": m} for m in methods],
    )


def verdicts(grid, study, levels, seeds=SEEDS, noise=0.0):
    """(strategy, method) -> (left, added), for every seed; the claims by their first words."""
    places = {(s, m, 10, i): run(*level, noise, i) for (s, m), level in levels.items() for i in seeds}
    ws, cells = grid(BASE, places)
    found = judge(study, Numbers(ws, cells))
    names = ("balance OPS", "balance RPS", "random", "disruption", "typed")
    return dict(zip(names, found, strict=True))


def test_saps_ahead_in_every_seed_has_the_best_balance_and_random_is_not_good_enough(grid):
    found = verdicts(
        grid, spec(), {("saps", "dpo"): (0.2, 0.01), ("uniform", "dpo"): (0.5, 0.05)}, noise=0.01
    )
    assert found["balance OPS"].verdict == "held" and found["balance RPS"].verdict == "held"
    assert "(RPS_ideal)" in found["balance RPS"].sentence  # no full-data run
    assert found["random"].verdict == "did not hold"
    assert "minus uniform +0." in found["balance OPS"].evidence and "3 seeds" in found["balance OPS"].evidence


def test_saps_behind_did_not_hold_and_random_is_the_best_itself(grid):
    found = verdicts(
        grid, spec(), {("saps", "dpo"): (0.5, 0.05), ("uniform", "dpo"): (0.2, 0.01)}, noise=0.01
    )
    assert found["balance OPS"].verdict == "did not hold"
    assert found["random"].verdict == "held" and "the best itself" in found["random"].evidence


def test_strategies_whose_seeds_scatter_more_than_they_differ_are_not_told_apart(grid):
    ws, cells = grid(
        BASE,
        {("saps", "dpo", 10, i): run(0.3, 0.01, 0.2, i) for i in SEEDS}
        | {("uniform", "dpo", 10, i): run(0.36, 0.01, -0.2, i) for i in SEEDS},
    )
    claim = judge(spec(), Numbers(ws, cells))[0]
    assert claim.verdict == "not distinguishable"


def test_one_seed_never_decides(grid):
    levels = {("saps", "dpo"): (0.2, 0.01), ("uniform", "dpo"): (0.7, 0.05)}
    found = verdicts(grid, spec(), levels, seeds=(0,))
    assert found["balance OPS"].verdict == "not distinguishable"
    assert "how far seeds scatter is not known" in found["balance OPS"].evidence
    assert found["random"].verdict == "not distinguishable"


METHODS = ("irepair", "dpo")


@pytest.mark.parametrize(
    ("irepair", "dpo", "verdict"),
    [
        ((0.2, 0.02), (0.2, 0.10), "held"),
        ((0.1, 0.02), (0.3, 0.10), "held"),
        ((0.2, 0.10), (0.2, 0.02), "did not hold"),
        ((0.5, 0.02), (0.2, 0.10), "did not hold"),  # less disruption, but far less repair
        ((0.2, 0.05), (0.2, 0.05), "not distinguishable"),
    ],
)
def test_less_disruption_counts_at_a_comparable_reduction_only(grid, irepair, dpo, verdict):
    levels = {("uniform", "irepair"): irepair, ("uniform", "dpo"): dpo}
    found = verdicts(grid, spec(("uniform",), METHODS), levels, noise=0.001)
    assert found["disruption"].verdict == verdict, found["disruption"].evidence


def test_a_reduction_that_may_be_far_behind_is_not_called_comparable(grid):
    places = {("uniform", "irepair", 10, i): run(0.45, 0.02, 0.4, i) for i in SEEDS}
    places |= {("uniform", "dpo", 10, i): run(0.2, 0.1, 0.0, i) for i in SEEDS}
    ws, cells = grid(BASE, places)
    claim = judge(spec(("uniform",), METHODS), Numbers(ws, cells))[3]
    assert claim.verdict == "not distinguishable"


def test_the_papers_ratio_comes_with_the_claim(grid):
    levels = {("uniform", "irepair"): (0.2, 0.02), ("uniform", "dpo"): (0.6, 0.10)}
    places = {(s, m, 10, i): run(*level) for (s, m), level in levels.items() for i in SEEDS}
    ws, cells = grid(BASE, places)
    known = Numbers(ws, cells)
    matched = pairs(*([c for c in known.cells if c.method == m] for m in METHODS), "method")
    paper, each = method_headline(known, matched, "normal")
    assert (paper.reduction, paper.other_reduction) == pytest.approx((0.8, 0.4))
    assert paper.effective == pytest.approx(1.0)
    assert paper.disruption == pytest.approx(1 - np.expm1(0.02) / np.expm1(0.1))
    assert each.effective == pytest.approx(paper.effective)  # every pair is the same here
    said = judge(spec(("uniform",), METHODS), known)[3].evidence
    assert "100.0 % more effective" in said and "less disruption" in said


def test_t1_rows_are_looked_for_by_the_strategys_own_filter(grid):
    study = spec(("pss", "uniform"), pss={"t1_only": True})
    levels = {("pss", "dpo"): (0.2, 0.01), ("uniform", "dpo"): (0.5, 0.01)}
    assert verdicts(grid, study, levels, noise=0.01)["typed"].verdict == "held"
    plain = spec(("pss", "uniform"))
    assert verdicts(grid, plain, levels)["typed"].verdict == "not measured"


def test_what_the_study_does_not_hold_is_not_measured(grid):
    found = verdicts(grid, spec(("uniform",)), {("uniform", "dpo"): (0.2, 0.01)})
    assert {c.verdict for c in found.values()} == {"not measured"}


def test_a_gap_is_the_mean_over_pairs_that_differ_in_one_thing(grid):
    places = {
        ("a", "dpo", 10, 0): run(0.2, 0.0), ("b", "dpo", 10, 0): run(0.3, 0.0),
        ("a", "dpo", 20, 0): run(0.2, 0.0), ("b", "dpo", 20, 0): run(0.5, 0.0),
        ("a", "dpo", 10, 1): run(0.1, 0.0), ("b", "dpo", 40, 1): run(0.9, 0.0),  # no partner
    }  # fmt: skip
    ws, cells = grid(BASE, places)
    known = Numbers(ws, cells)
    groups = [[c for c in cells if c.strategy == s] for s in "ab"]
    found = gap(known, pairs(*groups, "strategy"), "TR")
    assert found.pairs == 2 and found.seeds == 1
    assert found.value == pytest.approx(0.2) and not found.above


def test_a_pair_with_a_broken_side_is_left_out_and_counted(grid):
    broken = (PROMPTS * 0.2, np.where(np.arange(40) == 3, np.inf, DOCUMENTS))
    places = {("a", "dpo", 10, 0): run(0.2, 0.1), ("b", "dpo", 10, 0): run(0.2, 0.2),
              ("a", "dpo", 10, 1): broken, ("b", "dpo", 10, 1): run(0.2, 0.2)}  # fmt: skip
    ws, cells = grid(BASE, places)
    known = Numbers(ws, cells)
    matched = pairs(*([c for c in cells if c.strategy == s] for s in "ab"), "strategy")
    found = gap(known, matched, "cost of perplexity:normal")
    assert (found.pairs, found.broken) == (1, 1)
    assert found.value == pytest.approx((np.exp(0.1) - np.exp(0.2)) * 1.0, rel=1e-9)
    assert "1 more without a finite number" in found.words


def test_without_a_text_there_is_no_balance_to_judge(grid):
    places = {(s, "dpo", 10, i): run(0.2, 0.0) for s in ("saps", "uniform") for i in SEEDS}
    ws, cells = grid(BASE, places)
    known = Numbers(ws, cells)
    known.base = known.base.model_copy(update={"texts": {}})
    claim = judge(spec(), known)[0]
    assert claim.verdict == "not measured" and "no perplexity" in claim.evidence


def test_a_rival_that_is_not_run_yet_cannot_have_been_beaten(grid):
    levels = {("saps", "dpo"): (0.2, 0.01), ("uniform", "dpo"): (0.5, 0.05)}
    study = spec(("saps", "uniform", "k_center"))
    claim = verdicts(grid, study, levels, noise=0.01)["balance OPS"]
    assert claim.verdict == "not distinguishable" and "k_center is not measured yet" in claim.evidence
    assert verdicts(grid, study, levels, noise=0.01)["random"].verdict == "did not hold"  # saps suffices


def test_one_seed_near_the_best_does_not_make_random_good_enough(grid):
    levels = {("saps", "dpo"): (0.2, 0.01), ("uniform", "dpo"): (0.2, 0.01)}
    assert verdicts(grid, spec(), levels, seeds=(0,))["random"].verdict == "not distinguishable"
    assert verdicts(grid, spec(), levels, noise=0.001)["random"].verdict == "held"


def test_random_is_judged_on_matched_runs_only(grid):
    """Uniform's worse seed has no partner yet: a mean over other seeds would blame the strategy for it."""
    places = {("saps", "dpo", 10, i): run(0.2, 0.01, 0.001, i) for i in (0, 1)}
    places |= {("uniform", "dpo", 10, i): run(0.2, 0.01, 0.001, i) for i in (0, 1)}
    places |= {("uniform", "dpo", 10, 2): run(0.9, 0.3)}
    ws, cells = grid(BASE, places)
    claim = judge(spec(), Numbers(ws, cells))[2]
    assert claim.verdict == "held", claim.evidence


def test_scattering_seeds_leave_open_whether_random_is_good_enough(grid):
    places = {("saps", "dpo", 10, i): run(0.3, 0.01, 0.3, i) for i in SEEDS}
    places |= {("uniform", "dpo", 10, i): run(0.3, 0.01, -0.3, i) for i in SEEDS}
    ws, cells = grid(BASE, places)
    assert judge(spec(), Numbers(ws, cells))[2].verdict == "not distinguishable"


def test_one_of_many_rivals_ahead_by_chance_refutes_nothing(grid):
    """An interval that excludes 0 alone may hold it once the rivals share the 5 %."""
    moved = {0: 0.030, 1: 0.034, 2: 0.026}
    rivals = ("uniform", "k_center", "ccs", "moderate", "herding")
    places = {("saps", "dpo", 10, i): run(0.30, 0.01) for i in SEEDS}
    places |= {("uniform", "dpo", 10, i): run(0.30 - moved[i] * 1.0, 0.01) for i in SEEDS}
    places |= {(r, "dpo", 10, i): run(0.30, 0.01) for r in rivals[1:] for i in SEEDS}
    ws, cells = grid(BASE, places)
    known = Numbers(ws, cells)
    groups = {s: [c for c in cells if c.strategy == s] for s in ("saps", "uniform")}
    alone, among = (gap(known, pairs(*groups.values(), "strategy"), "OPS", k) for k in (1, 5))
    assert among.low < alone.low < alone.high < among.high and among.value == alone.value
    assert alone.below
    wanted = "did not hold" if among.below else "not distinguishable"
    assert judge(spec(("saps", *rivals)), known)[0].verdict == wanted


def test_a_reduction_certainly_but_barely_behind_is_comparable(grid):
    levels = {("uniform", "irepair"): (0.21, 0.02), ("uniform", "dpo"): (0.20, 0.10)}
    claim = verdicts(grid, spec(("uniform",), METHODS), levels, noise=0.0001)["disruption"]
    assert claim.verdict == "held", claim.evidence


def test_a_repair_that_diverged_in_a_seed_is_not_held_to_disrupt_less(grid):
    broken = (PROMPTS * 0.2, np.where(np.arange(40) == 3, np.inf, DOCUMENTS))
    places = {("uniform", "irepair", 10, i): run(0.2, 0.02, 0.001, i) for i in SEEDS}
    places |= {("uniform", "dpo", 10, i): run(0.2, 0.1, 0.001, i) for i in SEEDS}
    ws, cells = grid(BASE, places | {("uniform", "irepair", 10, 2): broken})
    claim = judge(spec(("uniform",), METHODS), Numbers(ws, cells))[3]
    assert claim.verdict == "not distinguishable" and "without a finite number" in claim.evidence
