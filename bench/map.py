"""The default map beside plain `umap.UMAP()`: seconds, peak memory, trustworthiness, how full the frame is.

`python -m bench.map [--embedding FILE.npy] [--rows N] [--sizes 10000 100000 1000000] [--plain-up-to N]`

Real rows are those of the candidate pool: --embedding names their vectors, else --rows of them are embedded
first. Synthetic rows are made from a seed. Every step runs in a process of its own, so its peak memory is its
own; it contains the vectors it has read. Importing and compiling stands apart (`compile`): each way first
draws a map as small as makes it compile all it needs. Ours is drawn twice: both maps must agree to the bit.
Plain UMAP() has no seed and uses all threads; seeded it uses one and is slower.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.signals import CANDIDATES, alone

DIM, LATENT, GROUPS, CHUNK = 384, 12, 150, 50_000
# rows of the first map, which pays for imports and compiling; umap-learn compiles its search from 4,096 on
SMALL = {"ours": 500, "plain": 4_200}
SAMPLE = 2_000  # rows whose neighbourhoods are checked
WIDTHS = ("seconds", "CPU s", "compile", "peak MiB", "trust", "fill")


def make_real(target: Path, rows: int | None) -> None:
    """Embed rows of the candidate pool, drawn at random."""
    from core.embedding import embed

    table = pd.read_parquet(CANDIDATES, columns=["prompt", "response"]).fillna("")
    table = table.sample(rows, random_state=0) if rows and rows < len(table) else table
    texts = [f"{p} {r}".strip() for p, r in zip(table["prompt"], table["response"], strict=True)]
    np.save(target, embed(texts, "minilm", scratch=target.parent / "scratch").vectors)


def make_synthetic(target: Path, n: int) -> None:
    """Unit rows on a bent surface of 12 dimensions with 150 groups, and a little noise in all 384."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=1.5, size=(GROUPS, LATENT)).astype(np.float32)
    spread = rng.normal(size=(LATENT, DIM)).astype(np.float32)
    rows = np.lib.format.open_memmap(target, mode="w+", dtype=np.float32, shape=(n, DIM))
    for start in range(0, n, CHUNK):
        size = min(CHUNK, n - start)
        latent = centres[rng.integers(GROUPS, size=size)] + 0.5 * rng.normal(size=(size, LATENT))
        found = np.sin(latent @ spread / 2) + rng.normal(scale=0.1, size=(size, DIM))
        rows[start : start + size] = found / np.linalg.norm(found, axis=1, keepdims=True)
    rows.flush()


def ours(vectors: Any, seed: int = 0) -> Any:
    """The default map."""
    from core.projection import project

    return project("umap", vectors, seed=seed)


def plain(vectors: Any) -> Any:
    """umap-learn as it comes."""
    from umap import UMAP

    return UMAP().fit_transform(np.asarray(vectors))


def run(way: str, source: Path, target: Path) -> dict[str, float]:
    """Draw the map in this process, after a small one; the map goes to `target`."""
    from core.workspace.signals import peak_bytes

    warnings.simplefilter("ignore")  # umap-learn's own
    draw: Callable[..., Any] = {"ours": ours, "plain": plain}[way]
    vectors = np.load(source, mmap_mode="r")
    begun = time.perf_counter()
    draw(vectors[: min(SMALL[way], len(vectors))])
    start, cpu = time.perf_counter(), time.process_time()
    xy = draw(vectors)
    facts = {
        "seconds": time.perf_counter() - start,
        "CPU s": time.process_time() - cpu,
        "compile": start - begun,
        "peak MiB": peak_bytes() / 2**20,
    }
    np.save(target, xy)
    if way == "ours" and len(vectors) <= CHUNK:
        facts["repeats"] = float((draw(vectors) == xy).all())
    return facts


def quality(source: Path, target: Path) -> dict[str, float]:
    """Trustworthiness (k = 15, cosine) of a fixed sample of rows against all, and frame fill."""
    from core.projection import frame_fill, trustworthiness

    vectors, xy = np.load(source, mmap_mode="r"), np.load(target)
    sample = SAMPLE if len(vectors) <= 2 * CHUNK else SAMPLE // 4
    return {"trust": trustworthiness(vectors, xy, sample=sample), "fill": frame_fill(xy)}


def compare(title: str, source: Path, plain_up_to: int) -> None:
    """Measure both ways on one set of vectors and print its lines."""
    n = len(np.load(source, mmap_mode="r"))
    ways = {"ours": "winnow", "plain": "umap.UMAP()"}
    found: dict[str, dict[str, float]] = {}
    for way, name in ways.items():
        if way == "plain" and n > plain_up_to:
            print(f"{title:<18}{name:<13}left out: above --plain-up-to {plain_up_to:,} it takes too long")
            continue
        target = source.with_suffix(f".{way}.npy")
        found[way] = alone(run, way, source, target) | alone(quality, source, target)
        print(f"{title:<18}{name:<13}" + "".join(_cell(found[way], part) for part in WIDTHS), flush=True)
    if "repeats" in found["ours"]:
        print(f"{title:<18}a second map is {'equal to the bit' if found['ours']['repeats'] else 'DIFFERENT'}")
    if "plain" in found:
        a, b = found["plain"], found["ours"]
        first = (a["seconds"] + a["compile"]) / (b["seconds"] + b["compile"])
        print(
            f"{title:<18}ours is {a['seconds'] / b['seconds']:.1f} times as fast "
            f"({a['CPU s'] / b['CPU s']:.1f} by CPU seconds; {first:.1f} with imports and compiling), "
            f"trustworthiness {b['trust'] - a['trust']:+.3f}"
        )


def _cell(facts: dict[str, float], part: str) -> str:
    form = {"trust": ".4f", "fill": ".3f", "peak MiB": ",.0f"}.get(part, ".1f")
    return f"{format(facts[part], form):>10}"


def main() -> None:
    """Measure all sets asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--embedding", type=Path, help="Vectors of real rows (.npy).")
    arguments.add_argument("--rows", type=int, help="Real rows to embed; default: all, 0: none.")
    arguments.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--plain-up-to", type=int, default=20_000, help="Rows.")
    arguments.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    asked = arguments.parse_args()
    os.environ |= {  # read by the children
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(asked.threads),
        "NUMBA_NUM_THREADS": str(asked.threads),
        "WINNOW_THREADS": str(asked.threads),
    }
    print(f"{asked.threads} thread(s), default settings, seed 0\n")
    print(f"{'rows':<18}{'':<13}" + "".join(f"{part:>10}" for part in WIDTHS))
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "vectors.npy"
        if asked.embedding is not None:
            source.symlink_to(asked.embedding.resolve())
        elif asked.rows != 0:
            alone(make_real, source, asked.rows)
        if source.exists():
            compare(f"{len(np.load(source, mmap_mode='r')):,} real", source, asked.plain_up_to)
        for n in asked.sizes:
            source.unlink(missing_ok=True)
            alone(make_synthetic, source, n)
            compare(f"{n:,} synthetic", source, asked.plain_up_to)


if __name__ == "__main__":
    main()
