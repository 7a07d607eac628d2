"""A small workspace as the app finds it: a pool, its signals under the pipeline's keys, measured runs."""

import json
import sys
import time

import numpy as np
import pandas as pd
import pytest

from core import pipeline
from core.evaluation import PROTOCOLS
from core.pipeline.evaluations import evaluation_key
from core.pipeline.gather import requests
from core.pool import build_pool, guess_mapping, load_pool, read_table, save_pool
from core.selection import STRATEGIES
from core.values import Budget, Evaluation, EvaluationSpec, Measure, Recipe, RepairSpec
from core.workspace import Workspace, write_json, write_parquet

ROWS = 80
SECRET = "horrible"  # in every row that is not benign


@pytest.fixture(autouse=True)
def the_real_main_module():
    """Streamlit's AppTest leaves its script as __main__, which a process started later would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def empty(tmp_path):
    """A workspace with nothing in it and no shipped demo below it."""
    return Workspace.open(tmp_path / "ws", None)


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Eighty rows, a quarter of them benign, every signal the strategies ask for, three measured runs."""
    folder = tmp_path_factory.mktemp("small")
    ws = Workspace.open(folder / "ws", None)
    source = folder / "small.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in _rows()) + "{broken\n")
    raw = read_table(source)
    mapping = guess_mapping(raw)
    save_pool(ws, build_pool(raw, mapping, name="small"), mapping, "small.jsonl")
    _model(ws)
    pool = load_pool(ws, "small")
    _signals(ws, pool)
    _runs(ws, pool)
    return ws


def _rows():
    for i in range(ROWS):
        kind = ("spite", "threat", "gossip", "")[i % 4]
        word = SECRET if kind else "pleasant"
        flags = {"harmful_request": "yes" if kind else "no", "refusal": ("yes", "no")[i // 4 % 2]}
        yield {
            "id": f"r{i}",
            "prompt": f"Say {word} thing number {i}",
            "chosen": f"A {word if not kind else 'kind'} answer {i}",
            "rejected": f"{SECRET} answer {i}" if kind else "",
            "category": [kind] if kind else [],
        } | flags


def _model(ws):
    """A folder that looks like a model: names resolve and hash, nothing is loaded."""
    write_json(ws.path("models", "tiny", "config.json"), {"model_type": "gpt2"})


def _signals(ws, pool):
    rng = np.random.default_rng(0)
    n = len(pool)
    centres = rng.normal(size=(4, 10))[np.arange(n) % 4]
    needs = {need for name in STRATEGIES for need in STRATEGIES[name].needs(STRATEGIES[name].params())}
    needs |= {
        "vectors:map",
        "vectors:pca50",
        "vectors:embedding",
        "cluster:hdbscan",
        "score:toxicity",
        "tokens",
    }
    asked = requests(Recipe(pool="small", strategy="uniform"), sorted(needs))
    for need in {pipeline.key_of(ws, request, pool).digest: need for need, request in asked.items()}.values():
        kind, request = need.partition(":")[0], asked[need]
        values = centres + 0.3 * rng.normal(size=(n, 10))
        arrays, facts = {"values": values.astype(np.float32)}, {"words": "UMAP for a test"}
        if kind == "cluster":
            arrays = {"values": np.arange(n) % 4 - 1, "membership": np.ones(n, np.float32)}
            facts = {"noise_share": 0.25, "keywords": {str(c): [SECRET, "words"] for c in range(3)}}
        if kind == "score":
            arrays = {"values": np.where(np.arange(n) % 4 == 3, 0.05, 0.8)}
            facts = {"direction": "more toxic"}
        if kind == "tokens":
            arrays, facts = {"values": np.full(n, 12.0)}, {"direction": "higher is longer"}
        if need == "vectors:map":
            arrays = {"values": values[:, :2].astype(np.float32)}
        key = pipeline.key_of(ws, request, pool)
        ws.signals.put(key, arrays, facts=facts, started=time.perf_counter())


def measured(ws, pool, spec, toxicity, perplexity):
    """An evaluation with these two numbers, as the pipeline stores it."""
    texts = {
        "small": {"perplexity": Measure(value=perplexity, low=perplexity - 0.1, high=perplexity + 0.1, n=8)}
    }
    return Evaluation(
        model=spec.model,
        model_hash="m",
        pool=pool.name,
        pool_fingerprint=pool.fingerprint,
        split_hash=pool.split_hash,
        scorer="demo scorer",
        scorer_hash="s",
        protocol=spec.protocol,
        metrics={
            "toxicity_mean": Measure(value=toxicity, low=toxicity - 0.02, high=toxicity + 0.02, n=8),
            "perplexity": texts["small"]["perplexity"],
        },
        texts=texts,
    )


def store(folder, evaluation):
    """The evaluation with per-prompt and per-document values that have its means."""
    toxicity, perplexity = (evaluation.metrics[m].value for m in ("toxicity_mean", "perplexity"))
    spread = np.linspace(-0.02, 0.02, 8)
    generations = {"prompt_row": range(8), "sample": 0, "toxicity": toxicity + spread}
    units = {"text": "small", "windows": "disjoint", "unit": range(8), "tokens": 10.0}
    write_json(folder / "evaluation.json", evaluation)
    write_parquet(folder / "generations.parquet", pd.DataFrame(generations))
    nll = 10.0 * (np.log(perplexity) + spread)
    write_parquet(folder / "text_units.parquet", pd.DataFrame(units | {"nll": nll}))


def _runs(ws, pool):
    spec = EvaluationSpec(model="tiny", pool="small", protocol=PROTOCOLS["quick"], scorer="unbiased")
    key = evaluation_key(ws, spec)
    store(ws.path("evaluations", key), measured(ws, pool, spec, 0.40, 10.0))
    cases = [
        ("uniform", 10.0, 0, 0.10, 10.4),
        ("uniform", 10.0, 1, 0.12, 10.5),
        ("uniform", 100.0, 0, 0.05, 11.0),
    ]
    for strategy, percent, seed, toxicity, perplexity in cases:
        recipe = Recipe(
            pool="small",
            strategy=strategy,
            budget=Budget(rows=None, percent=percent),
            seed=seed,
            method="sft",
        )
        chosen = pipeline.choose(ws, recipe)
        pipeline.save_selection(ws, chosen)
        run_id = f"run-{int(percent)}-{seed}"
        repair = RepairSpec(selection=chosen.key, method="sft", model="tiny", seed=seed, evaluation=spec)
        manifest = pipeline.RunManifest(
            id=run_id,
            spec=repair,
            selection=chosen.key,
            strategy=strategy,
            budget=len(chosen.ids),
            eligible=chosen.eligible,
            select_seconds=0.1,
            pool="small",
            pool_fingerprint=pool.fingerprint,
            model="tiny",
            model_hash="m",
            result={"steps": 5, "best_step": 4, "seconds": 1.0},
            base_evaluation=key,
            created="2026-01-01T00:00:00Z",
            seconds=1.0,
            device="cpu",
            versions={},
        )
        store(ws.path("runs", run_id), measured(ws, pool, spec, toxicity, perplexity))
        write_json(ws.path("runs", run_id, "manifest.json"), manifest)
