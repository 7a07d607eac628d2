"""A fresh workspace over the shipped demo, and a workspace of its own with a tiny pool."""

import shutil
import time

import numpy as np
import pandas as pd
import pytest

from core import pipeline, selection
from core.evaluation.measures import finite
from core.pipeline.gather import requests
from core.pipeline.study_numbers import FULL, Cell
from core.pool import load_pool
from core.values import Budget, Evaluation, EvaluationProtocol, Measure, RepairSpec
from core.workspace import Workspace, write_json, write_parquet
from core.workspace.store import SHIPPED


@pytest.fixture
def demo(tmp_path):
    assert SHIPPED.is_dir(), "the demo's artefacts are part of the project: python -m core demo build"
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def own(small, tmp_path):
    """A copy of the small workspace, for a test to change."""
    shutil.copytree(small.root, tmp_path / "own")
    return Workspace.open(tmp_path / "own", None)


@pytest.fixture
def meet():
    """A function that stores a stand-in for every signal a recipe needs, or given values: score=f(n)."""

    def put(ws, recipe, **given):
        for need, request in requests(recipe, selection.needs_of(recipe)).items():
            pool = load_pool(ws, request.pool)
            kind = {"reference": "vectors", "tokens": "tokens"}.get(need.split(":")[0], need.split(":")[0])
            values = given.get(kind, STAND_INS[kind])(len(pool))
            arrays = {"values": values} | ({"membership": np.ones(len(pool))} if kind == "cluster" else {})
            key = pipeline.key_of(ws, request, pool)
            facts = {"direction": "harder", "words": need}
            ws.signals.put(key, arrays, facts=facts, started=time.perf_counter())

    return put


STAND_INS = {
    "vectors": lambda n: np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32),
    "cluster": lambda n: np.arange(n) % 5 - 1,
    "score": lambda n: np.random.default_rng(1).permutation(n) / n,
    "tokens": lambda n: 5.0 + np.arange(n) % 7,
}


@pytest.fixture
def grid(empty):
    """A function that lays down measured runs by hand: place -> (toxicity per prompt, nll per token).

    A place is (strategy, method, rows, seed), of 100 eligible rows; with 100 rows it is a full-data run. The
    base model's numbers come first. Every document has ten tokens and twenty bytes.
    """

    def lay(base, places):
        write_measured(empty.path("evaluations", "base"), *base)
        return empty, [_cell(empty, *place, *values) for place, values in places.items()]

    return lay


def write_measured(folder, toxicity, nll):
    """An evaluation with these values per prompt and per document of the text "normal"."""
    toxicity, nll = np.asarray(toxicity, dtype=float), np.asarray(nll, dtype=float)
    generations = {"prompt_row": range(len(toxicity)), "sample": 0, "text": "t", "toxicity": toxicity}
    texts = {"text": "normal", "unit": range(len(nll)), "tokens": 10, "bytes": 20, "nll": 10.0 * nll}
    windows = [pd.DataFrame({"windows": kind} | texts) for kind in ("disjoint", "strided")]
    write_parquet(folder / "generations.parquet", pd.DataFrame(generations))
    write_parquet(folder / "text_units.parquet", pd.concat(windows, ignore_index=True))
    perplexity = Measure(value=finite(float(np.exp(nll.mean()))), n=len(nll))
    found = Evaluation(
        model="m", model_hash="m", pool="p", pool_fingerprint="p", split_hash="h", scorer="s",
        scorer_hash="s", protocol=EvaluationProtocol(samples=1), texts={"normal": {"perplexity": perplexity}},
        metrics={"toxicity_mean": Measure(value=float(np.nanmean(toxicity)), n=len(toxicity)),
                 "perplexity": perplexity},
    )  # fmt: skip
    write_json(folder / "evaluation.json", found)
    return found


def _cell(ws, strategy, method, rows, seed, toxicity, nll):
    full = rows == 100
    spec = RepairSpec(selection="s", method="dpo", seed=seed)
    run_id = f"{strategy}-{method}-{rows}-{seed}".replace(" ", "-")
    folder = ws.path("runs", run_id)
    manifest = pipeline.RunManifest(
        id=run_id, spec=spec, selection="s", strategy=strategy, budget=rows, eligible=100,
        select_seconds=60.0, pool="p", pool_fingerprint="p", model="m", model_hash="m",
        result={"seconds": 1000.0 if full else 300.0, "tokens": 5}, base_evaluation="base",
        created="2026-01-01T00:00:00Z", seconds=1.0, device="cpu", versions={},
    )  # fmt: skip
    found = write_measured(folder, toxicity, nll)
    write_json(folder / "manifest.json", manifest)
    return Cell(
        label=run_id, strategy=FULL if full else strategy, budget=Budget(rows=rows), method=method, seed=seed,
        full=full, spec=spec, run=pipeline.Run(run_id, folder, manifest, found), rows=rows, work=float(rows),
    )  # fmt: skip
