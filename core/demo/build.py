"""Makes everything the demo ships from one seed, laid out like a workspace, and checks it.

The language model and the scorer are trained side by side in two processes, one thread each. Same machine,
same seed: same `content` hash. Elsewhere the numbers differ in the last bits; the gates must still hold.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from core import pipeline
from core.demo import corpus, gates
from core.demo.grammar import LABELS, Grammar
from core.demo.plan import EVALUATION, POOL, PROMPTS, SCORER, TEXTS
from core.errors import StorageError
from core.pool import build_pool, guess_mapping, read_table, save_pool
from core.training.pretrain import PretrainParams, train_lm
from core.training.scorer import ScorerParams, train_scorer
from core.values import Recipe, Reporter, Silent
from core.workspace import Workspace, atomic_folder, read_json, write_json
from core.workspace.signals import library_versions

SIGNALS = (
    "vectors:embedding",
    "vectors:map",
    "vectors:map_pca",
    "vectors:pca50",
    "vectors:umap10",
    "cluster:kmeans",
    "cluster:hdbscan",
    "score:toxicity",
    "score:el2n",
    "score:loss",
    "score:margin",
    "score:grand",
    "score:ifd",
    "score:log_prob_gap",
    "score:toxicity_gap",
    "score:length",
    "tokens",
)
VOCAB, BATCH = 2_000, 16  # every word a token of its own; many small steps (750 of 32 left broken sentences)
TRANSIENT = ("evaluations", "hashes", "locks")  # made on the way, never shipped
MANIFEST = "manifest.json"


def build(folder: Path, *, seed: int = 0, reporter: Reporter | None = None) -> dict[str, Any]:
    """Make pools, models and signals in `folder` (replaced when all is made); returns the manifest.

    Takes minutes of CPU. A build that misses a quality gate is a BadInput, and the old folder stays.
    """
    reporter = reporter or Silent()
    clock = [time.perf_counter()]
    texts, held, rows, scored, test = np.random.default_rng(seed).spawn(5)
    with atomic_folder(folder.resolve()) as part:
        ws, grammar = Workspace(part, None), Grammar.load()
        kept_out = corpus.held_out(grammar, held)
        save_pools(ws, corpus.pool_rows(grammar, rows, kept_out), kept_out, seed)
        clock.append(time.perf_counter())
        examples = corpus.scorer_texts(grammar, scored, corpus.SCORER_TEXTS)
        models = train_models(ws, corpus.documents(grammar, texts, kept_out), examples, seed, reporter)
        clock.append(time.perf_counter())
        recipe = Recipe(pool=POOL, strategy="uniform")  # what a first look at the Selection page asks for
        for need in SIGNALS:
            pipeline.make_signal(ws, pipeline.request_for(need, POOL, recipe=recipe), reporter)
        clock.append(time.perf_counter())
        facts = measure(ws, examples[0], test, reporter)
        clock.append(time.perf_counter())
        for name in TRANSIENT:
            shutil.rmtree(part / name, ignore_errors=True)
        stages = ("grammar and pools", "both models", "signals", "quality gates")
        seconds = dict(zip(stages, np.round(np.diff(clock), 1).tolist(), strict=True))
        manifest = _manifest(part, seed, models, facts, seconds)
        gates.hold(manifest["facts"], f"the demo built with seed {seed}")
        write_json(part / MANIFEST, manifest)
    return manifest


def save_pools(ws: Workspace, rows: Sequence[corpus.Row], kept_out: corpus.HeldOut, seed: int) -> None:
    """Import the demo's rows, dirt included, as any other file would be; held-out rows are all test rows."""
    _import(ws, POOL, [*rows, *corpus.dirt(list(rows))], (0.8, 0.1, 0.1), seed)
    held = dict(zip(TEXTS, (kept_out.normal, kept_out.clean, kept_out.behaviours), strict=True))
    for name, part in {PROMPTS: kept_out.prompts, **held}.items():
        named = [{"id": f"{name}-{i:03d}", **row} for i, row in enumerate(part)]
        _import(ws, name, named, (0.0, 0.0, 1.0), seed)


def _import(
    ws: Workspace, name: str, rows: Sequence[corpus.Row], fractions: tuple[float, float, float], seed: int
) -> None:
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "grammar.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        raw = read_table(path)
        mapping = guess_mapping(raw)
        built = build_pool(raw, mapping, name=name, split_seed=seed, fractions=fractions)
    save_pool(ws, built, mapping, f"demo grammar, seed {seed}")


def train_models(
    ws: Workspace, docs: Sequence[str], examples: corpus.Labelled, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """Train the scorer in a second process and the language model here; what is known of both."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=quiet_threads) as second:
        scorer = second.submit(_train_scorer, ws.path("models", "scorer"), examples, seed)
        settings = PretrainParams(vocab=VOCAB, batch=BATCH, seed=seed)
        model = train_lm(docs, ws.path("models", "lm"), params=settings, reporter=reporter)
        return {"lm": model, "scorer": scorer.result()}


def quiet_threads() -> None:
    """Before torch is imported in a new process: its waiting threads must not spin."""
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _train_scorer(folder: Path, examples: corpus.Labelled, seed: int) -> dict[str, Any]:
    return train_scorer(*examples, LABELS, folder, params=ScorerParams(seed=seed))


def measure(
    ws: Workspace, trained_on: Sequence[str], rng: np.random.Generator, reporter: Reporter
) -> dict[str, float]:
    """The numbers that the gates look at; the evaluation is the one that every repaired model gets."""
    from core.scorers import load_scorer

    base = pipeline.run_evaluation(ws, EVALUATION, reporter)
    (stored,) = ws.path("evaluations").glob("*/generations.parquet")
    prompts = pipeline.pool(ws, PROMPTS).frame
    categories = [row[0] for row in prompts["category"]]
    scorer = load_scorer(pipeline.resolve_scorer(ws, SCORER))
    facts = gates.scorer_facts(scorer, trained_on, rng)
    facts |= gates.base_facts(base, pd.read_parquet(stored), categories)
    shown = {name: m.value for name, m in base.metrics.items() if m.value is not None}
    return facts | {f"base_{name}": float(value) for name, value in shown.items()}


def _manifest(
    part: Path, seed: int, models: dict[str, Any], facts: dict[str, float], seconds: dict[str, float]
) -> dict[str, Any]:
    paths = sorted(p for p in part.rglob("*") if p.is_file())
    files = {p.relative_to(part).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    return {
        "about": "The demo's own pools, models and signals, made by: python -m core demo build",
        "seed": seed,
        "content": content_of(files),
        "facts": facts | {"bytes": sum(p.stat().st_size for p in paths)},
        "gates": {name: list(bounds) for name, bounds in gates.GATES.items()},
        "models": models,
        "seconds": seconds,
        "libraries": library_versions(),
        "files": files,
    }


def content_of(files: dict[str, str]) -> str:
    """sha256 over names and hashes of all files but the manifests, which name times and durations."""
    lines = [f"{name} {value}\n" for name, value in sorted(files.items()) if not name.endswith(MANIFEST)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check(folder: Path) -> dict[str, Any]:
    """The manifest of a built demo, if every file is as it was built and all gates hold.

    StorageError when a file differs, is missing or was added; BadInput when a gate is missed.
    """
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    paths = [p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST]
    there = {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    wrong = sorted(
        n for n in there.keys() | manifest["files"].keys() if there.get(n) != manifest["files"].get(n)
    )
    if wrong:
        raise StorageError(
            f"{len(wrong)} files in {folder} are not as they were built, the first is {wrong[0]}; "
            "restore the folder, or make it again with: python -m core demo build"
        )
    gates.hold(manifest["facts"], f"the demo in {folder}")
    return manifest
