"""Rows per second of our embedding beside plain `SentenceTransformer.encode(batch_size=64)`, in one run.

`python -m bench.embedding [--rows N] [--file PARQUET] [--threads T] [--repeat R]`. Both read the same rows,
on as many threads, by turns; the table gives the quickest turn of each. CPU seconds are what a machine that
does nothing else would need. Ours contains tokenising and saving; opening, with the trial of precisions,
stands apart.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.signals import CANDIDATES
from core.values import Silent


@dataclass(frozen=True)
class Turn:
    """One way's vectors and what they cost: seconds and CPU seconds, opening apart."""

    vectors: NDArray[np.float32]
    opening: float
    seconds: float
    cpu: float
    facts: dict[str, Any]


class Clock(Silent):
    """Notes when the model is open: then the first text is tokenised."""

    opened: tuple[float, float] | None = None

    def progress(self, done: int, total: int, what: str) -> None:
        """Note the first call."""
        self.opened = self.opened or now()


def now() -> tuple[float, float]:
    """Wall and CPU seconds."""
    return time.perf_counter(), time.process_time()


def ours(texts: list[str]) -> Turn:
    """Open the bundled encoder, try precisions, embed."""
    from core.embedding import embed

    clock, start = Clock(), now()
    with tempfile.TemporaryDirectory() as folder:
        found = embed(texts, "minilm", scratch=Path(folder), reporter=clock)
    assert clock.opened is not None
    return _turn(found.vectors, start, clock.opened, found.facts)


def plain(texts: list[str]) -> Turn:
    """Open the same weights as sentence-transformers does, and encode."""
    from sentence_transformers import SentenceTransformer

    from core.embedding.encoders.minilm import model_folder
    from core.lm.load import quiet

    start = now()
    with quiet():
        model = SentenceTransformer(str(model_folder()), device="cpu")
    opened = now()
    found = model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
    return _turn(np.asarray(found), start, opened, {"precision": "float32"})


def _turn(
    vectors: NDArray[np.float32],
    start: tuple[float, float],
    opened: tuple[float, float],
    facts: dict[str, Any],
) -> Turn:
    end = now()
    return Turn(vectors, opened[0] - start[0], end[0] - opened[0], end[1] - opened[1], facts)


def main() -> None:
    """Measure by turns and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1500, help="Rows, drawn at random.")
    arguments.add_argument("--file", type=Path, default=CANDIDATES, help="Parquet with prompt and response.")
    arguments.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads.")
    arguments.add_argument("--repeat", type=int, default=2, help="Turns of each.")
    asked = arguments.parse_args()
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "WINNOW_THREADS": str(asked.threads)}
    import torch

    torch.set_num_threads(asked.threads)
    table = pd.read_parquet(asked.file, columns=["prompt", "response"]).fillna("")
    table = table.sample(min(asked.rows, len(table)), random_state=0)
    texts = [f"{p} {r}".strip() for p, r in zip(table["prompt"], table["response"], strict=True)]
    print(f"{len(texts):,} rows of {asked.file.name}, {asked.threads} thread(s)\n")
    ways: dict[str, Callable[[list[str]], Turn]] = {"plain encode(batch_size=64)": plain, "ours": ours}
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(asked.repeat):
        for name, way in ways.items():
            turns[name].append(way(texts))
    _print(turns, len(texts))


def _print(turns: dict[str, list[Turn]], n: int) -> None:
    print(f"{'':<28}{'opening s':>10}{'seconds':>9}{'CPU s':>8}{'rows/s':>8}{'rows/CPU s':>12}")
    best = {}
    for name, found in turns.items():
        wall, cpu = (min(getattr(t, part) for t in found) for part in ("seconds", "cpu"))
        opening = min(t.opening for t in found)
        best[name] = (wall, cpu)
        print(f"{name:<28}{opening:>10.1f}{wall:>9.1f}{cpu:>8.1f}{n / wall:>8.1f}{n / cpu:>12.1f}")
    (a, b), (c, d) = best.values()
    print(f"\nours is {a / c:.2f} times as fast, {b / d:.2f} times by CPU seconds")
    exact, ours_ = (found[0] for found in turns.values())
    cosines = (exact.vectors * ours_.vectors).sum(axis=1)
    print(f"lowest cosine to float32 {cosines.min():.5f}, mean {cosines.mean():.5f}; {ours_.facts}")


if __name__ == "__main__":
    main()
