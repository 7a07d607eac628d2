"""Seconds and peak memory of embedding, projection and clustering on real rows, and how good the map is.

`python -m bench.signals [--rows N] [--file PARQUET] [--threads T]`; every step runs in a process of its own:
its peak memory is its own, and its seconds contain loading and compiling the libraries it needs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = (("trust", 8, ".3f"), ("fill", 7, ".3f"), ("clusters", 10, "d"), ("noise", 7, ".1%"))
ROOT = Path(__file__).resolve().parents[1]
CANDIDATES = ROOT.parent / "shared" / "data" / "pools" / "candidate_pool.parquet"
# step -> (stage, method, what it reads, settings)
STEPS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "embedding": ("embedding", "minilm", "texts", {}),
    "pca50": ("projection", "pca", "embedding", {"n_components": 50, "normalise": True}),
    "map": ("projection", "umap", "embedding", {}),
    "map, not evened": ("projection", "umap", "embedding", {"even": 0.0}),
    "umap10": ("projection", "umap", "embedding", {"n_components": 10, "min_dist": 0.0, "n_neighbors": 30}),
    "hdbscan": ("clustering", "hdbscan", "umap10", {}),
    "kmeans": ("clustering", "kmeans", "pca50", {}),
}


class Line:
    """Shows progress on stderr, on one line."""

    def progress(self, done: int, total: int, what: str) -> None:
        """Overwrite the line."""
        print(f"\r{done:>8,} of {total:,} {what}", end="", file=sys.stderr, flush=True)

    def record(self, row: Any) -> None:
        """Nothing is kept."""

    def stopping(self) -> bool:
        """Never."""
        return False

    def asked(self, what: str) -> bool:
        """Nothing is ever asked for on the way."""
        return False


def run_step(name: str, folder: Path) -> dict[str, Any]:
    """Do one step in this process; results go into `folder`."""
    from core.workspace.signals import peak_bytes

    stage, method, source, params = STEPS[name]
    start, cpu = time.perf_counter(), time.process_time()
    values: Any
    facts: dict[str, Any] = {}
    if stage == "embedding":
        from core.embedding import embed

        texts = pd.read_parquet(folder / "texts.parquet")["text"].tolist()
        values = embed(texts, method, params, scratch=folder / "scratch", reporter=Line()).vectors
    elif stage == "projection":
        from core.projection import project

        values = project(method, np.load(folder / f"{source}.npy"), params)
    else:
        from core.clustering import cluster

        found = cluster(method, np.load(folder / f"{source}.npy"), params)
        values = found.labels
        facts = {"clusters": found.k, "noise": float((found.labels < 0).mean())}
    facts |= {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,  # what a machine that does nothing else would need
        "peak": peak_bytes() / 2**20,
    }
    np.save(folder / f"{name}.npy", values, allow_pickle=False)
    return facts


def quality(name: str, folder: Path) -> dict[str, float]:
    """Frame fill of a map, and trustworthiness of a projection against the embedding."""
    from core.projection import frame_fill, trustworthiness

    vectors, found = np.load(folder / "embedding.npy"), np.load(folder / f"{name}.npy")
    facts = {"trust": trustworthiness(vectors, found)}
    return facts | ({"fill": frame_fill(found)} if found.shape[1] == 2 else {})


def alone(function: Any, *args: Any) -> Any:
    """The function's result, from a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def main() -> None:
    """Measure every step on the rows asked for, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=None, help="Rows sampled; default: all.")
    arguments.add_argument("--file", type=Path, default=CANDIDATES, help="Parquet with prompt and response.")
    arguments.add_argument("--threads", type=int, default=1, help="CPU threads.")
    asked = arguments.parse_args()
    os.environ |= {  # read by the children
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": str(asked.threads),
        "WINNOW_THREADS": str(asked.threads),
    }
    table = pd.read_parquet(asked.file, columns=["prompt", "response"]).fillna("")
    if asked.rows and asked.rows < len(table):
        table = table.sample(asked.rows, random_state=0)
    print(f"{len(table):,} rows of {asked.file.name}, {asked.threads} thread(s)\n")
    heads = f"{'step':<18}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}"
    print(heads + "".join(f"{name:>{width}}" for name, width, _ in COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [f"{p} {r}".strip() for p, r in zip(table["prompt"], table["response"], strict=True)]
        pd.DataFrame({"text": texts}).to_parquet(folder / "texts.parquet")
        for step, (stage, *_) in STEPS.items():
            facts = alone(run_step, step, folder)
            if stage == "projection":
                facts |= alone(quality, step, folder)
            numbers = [
                f"{facts['seconds']:>9.1f}{facts['cpu']:>8.1f}{facts['peak']:>10,.0f}",
                *(_cell(facts, *column) for column in COLUMNS),
            ]
            print(f"\r{step:<18}" + "".join(numbers), flush=True)


def _cell(facts: dict[str, Any], name: str, width: int, form: str) -> str:
    return f"{format(facts[name], form) if name in facts else '':>{width}}"


if __name__ == "__main__":
    main()
