"""Which run a repair is measured against: the one that differs from it in its rows only."""

from pathlib import Path

import pytest

from core import pipeline
from core.values import Evaluation, EvaluationProtocol, RepairSpec


def run(name, rows, *, eligible=100, method="dpo", seed=0, pool="p", **params):
    spec = RepairSpec(selection="s", method=method, seed=seed, params={"lr": 1e-5, "steps": 5} | params)
    manifest = pipeline.RunManifest(
        id=name, spec=spec, selection="s", strategy="uniform", budget=rows, eligible=eligible,
        select_seconds=0.0, pool=pool, pool_fingerprint=pool, model="m", model_hash="m", result={},
        created="2026-01-01T00:00:00Z", seconds=1.0, device="cpu", versions={},
    )  # fmt: skip
    return pipeline.Run(name, Path(name), manifest, None)


def full_of(mine, *others):
    base = Evaluation(
        model="m", model_hash="m", pool="p", pool_fingerprint="p", split_hash="h", scorer="s",
        scorer_hash="s", protocol=EvaluationProtocol(), metrics={},
    )  # fmt: skip
    found = pipeline.full_data_run(pipeline.TradeGroup("k", "k", base, (mine, *others)), mine)
    return found and found.id


def test_longer_training_is_the_same_repair_and_the_same_seed_is_preferred():
    newest, same_seed = run("newest", 100, seed=1, steps=50), run("same seed", 100, steps=50)
    assert full_of(run("mine", 10), newest) == "newest"
    assert full_of(run("mine", 10), newest, same_seed) == "same seed"


@pytest.mark.parametrize(
    "other",
    [
        run("a part", 60),
        run("other method", 100, method="sft"),
        run("other settings", 100, lr=1e-3),
        run("other pool", 100, pool="q"),
        run("fewer to choose from", 40, eligible=40),
    ],
    ids=lambda r: r.id,
)
def test_a_run_that_differs_in_more_than_its_rows_is_none(other):
    assert full_of(run("mine", 10), other) is None
