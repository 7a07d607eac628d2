"""The demo's plan is the one that was promised: 12 runs with 10 % of the pairs, all measured alike."""

from __future__ import annotations

from collections import Counter

from core.demo.plan import EVALUATION, METHODS, specs
from core.repair import METHODS as REGISTERED
from core.selection import STRATEGIES
from core.values import Recipe, settings


def test_twelve_runs_of_two_strategies_two_methods_and_three_seeds() -> None:
    recipes = [(s, s.selection) for s in specs() if isinstance(s.selection, Recipe)]
    assert Counter((r.strategy, s.method) for s, r in recipes) == {
        (strategy, method): 3 for strategy in ("uniform", "saps") for method in ("dpo", "irepair_kl")
    }
    assert all(s.seed == r.seed and r.method == s.method and r.budget.percent == 10 for s, r in recipes)
    assert {s.evaluation for s in specs()} == {EVALUATION}


def test_the_full_data_run_comes_once_per_method_and_takes_every_eligible_row() -> None:
    full = [s for s in specs(full=True) if s not in specs()]
    assert sorted(s.method for s in full) == sorted(METHODS)
    for s in full:
        assert isinstance(s.selection, Recipe) and s.selection.budget.count(3_000) == 3_000
        assert s.params["steps"] > METHODS[s.method]["steps"]


def test_every_name_and_setting_is_known_where_it_is_used() -> None:
    for s in specs(full=True):
        assert isinstance(s.selection, Recipe) and s.selection.strategy in list(STRATEGIES)
        chosen = settings(REGISTERED[s.method].params, s.params, s.method)
        assert {name: getattr(chosen, name) for name in s.params} == s.params
