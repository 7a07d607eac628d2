"""Selection strategies at 10,000 to 1,000,000 rows: seconds, peak memory, plain ways beside ours, and goals.

`OPENBLAS_NUM_THREADS=1 python -m bench.selection [--sizes 10000,100000,1000000] [--dim 384] [--no-plain]
[--no-k-center]`. Plain is numpy as one would first write it; it gives bare rows, ours a reason for each row
and a ledger too. CPU seconds are the fair ones where other work shares the machine.
"""

from __future__ import annotations

import argparse
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.selection_plain import PLAIN, Rows, plain_k_center
from core.selection import Candidates, Score, select
from core.selection.diagnostics import coverage, redundancy
from core.selection.distance import blocks

Floats = NDArray[np.float64]

SHARE = 10  # percent of the rows
CLUSTERS = 200  # as many as k-means makes of 80,000 rows and more
PLAIN_ROWS = 100_000  # above, the plain ways that pass over all rows per cluster take minutes
GOALS = {  # CPU seconds
    ("blend, slider", 100_000): 0.05,
    ("blend, slider", 1_000_000): 0.6,
    ("ccs", 1_000_000): 3.0,
    ("sss", 1_000_000): 3.0,
    ("saps", 1_000_000): 3.0,
}
SPEED_UP = 40  # K-Center against the plain loop
FIRST = {"scores": {"loss": -0.5}}
MOVED = {"scores": {"loss": -0.3}, "saps": 0.4}


def make(n: int, d: int, seed: int = 0) -> Candidates:
    """A pool of unit vectors around CLUSTERS directions, with scores, categories and behaviours.

    The first 50 columns stand for a PCA.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLUSTERS, n)
    middle = 2 * rng.standard_normal((CLUSTERS, d), dtype=np.float32)
    x = rng.standard_normal((n, d), dtype=np.float32)
    for s in blocks(n, d):
        x[s] += middle[labels[s]]
        x[s] /= np.linalg.norm(x[s], axis=1, keepdims=True)
    return Candidates(
        n=n,
        vectors={"embedding": x, "pca50": np.ascontiguousarray(x[:, :50])},
        clusters={"kmeans": labels},
        scores={name: Score(rng.standard_normal(n)) for name in ("el2n", "loss")},
        category_names=tuple(f"category {c}" for c in range(14)),
        categories=rng.random((n, 14)) < np.linspace(0.01, 0.2, 14),
        behaviour=rng.choice(np.array(["T1", "T2", "T3", "T4"], dtype=object), n),
    )


@dataclass(frozen=True)
class Run:
    """One call."""

    rows: Rows
    cpu: float  # seconds
    wall: float
    peak: int  # bytes allocated at most, beyond the input


def timed(work: Callable[[], Rows], memory: bool = True) -> Run:
    """Seconds of the best of up to three calls and, in one more, the peak of allocated memory."""
    found: list[tuple[float, float]] = []
    while not found or (len(found) < 3 and found[-1][1] < 1):
        cpu, wall = time.process_time(), time.perf_counter()
        rows = work()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    peak = 0
    if memory:
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Run(rows, *min(found), peak)


def cases(pool: Candidates, budget: int) -> Iterator[tuple[str, Callable[[], Rows]]]:
    """What is timed; `replace` forgets what an earlier call remembered."""
    for name in ("uniform", "ccs", "sss", "saps"):
        yield name, lambda name=name: select(name, replace(pool), budget).rows  # type: ignore[misc]
    in_full = {"space": "embedding"}
    yield "saps, all dims", lambda: select("saps", replace(pool), budget, in_full).rows
    yield "blend, first", lambda: select("blend", replace(pool), budget, FIRST).rows
    select("blend", pool, budget, FIRST)
    yield "blend, slider", lambda: select("blend", pool, budget, MOVED).rows
    for quota in ("equal", "minimum"):
        settings = MOVED | {"quota": quota, "minimum": 100}
        yield f"blend, {quota}", lambda settings=settings: select("blend", pool, budget, settings).rows  # type: ignore[misc]
    if pool.n <= PLAIN_ROWS:
        varied = MOVED | {"diversity": 0.3, "diversity_space": "pca50"}
        yield "blend, varied", lambda: select("blend", pool, budget, varied).rows
    rows, x = select("uniform", pool, budget).rows, pool.vectors["pca50"]
    most = None if pool.n <= PLAIN_ROWS else 5000
    ending = "" if most is None else "*"
    yield f"AUCpr{ending}", lambda: np.array([coverage(x, rows, most).aucpr])
    yield f"redundancy{ending}", lambda: np.array([redundancy(x, rows, most)])


HEAD = f"{'rows':>9} {'':15}{'CPU s':>9}{'wall s':>9}{'plain s':>9}{'ratio':>8}{'peak MB':>9}{'goal s':>8}"


def compare(pool: Candidates, plain_too: bool) -> None:
    """Print the lines of one pool."""
    budget = pool.n * SHARE // 100
    for name, work in cases(pool, budget):
        ours = timed(work)
        line = f"{pool.n:9,} {name:15}{ours.cpu:9.3f}{ours.wall:9.3f}"
        plain, quick = PLAIN.get(name, (None, True))
        if plain and plain_too and (quick or pool.n <= PLAIN_ROWS):
            other = timed(lambda plain=plain: plain(pool, budget), memory=False)  # type: ignore[misc]
            line += f"{other.cpu:9.3f}{other.cpu / ours.cpu:8.1f}"
        else:
            line += f"{'skipped' if plain else '':>9}{'':8}"
        goal = GOALS.get((name, pool.n))
        met = "" if goal is None else f"{goal:8.2f} {'met' if ours.cpu < goal else 'MISSED'}"
        print(f"{line}{ours.peak / 1e6:9.1f}{met}", flush=True)


def k_center(n: int, d: int, share: int, plain_too: bool) -> None:
    """K-Center against the plain loop, on random rows and on exact duplicates, and against a bare product."""
    budget = round(n * share / 100)
    random = make(n, d).vectors["embedding"]
    double = random[np.random.default_rng(1).integers(0, n // 4, n)]
    print(f"\nk_center, {n:,} x {d}, {share} %: {budget:,} picks; goal: {SPEED_UP} times the plain loop")
    for title, x in (("random", random), ("duplicates", double)):
        pool = Candidates(n=n, vectors={"embedding": x})
        ours = timed(lambda pool=pool: select("k_center", pool, budget).rows)  # type: ignore[misc]
        line = f"{title:12}{ours.cpu:8.2f} CPU s, {ours.wall:.2f} wall s, peak {ours.peak / 1e6:.0f} MB"
        if plain_too:
            radius = select("k_center", pool, budget).trace["radius"]
            cpu = time.process_time()
            rows, plain_radius = plain_k_center(x, budget)
            ratio = (time.process_time() - cpu) / ours.cpu
            met = "met" if ratio >= SPEED_UP else "MISSED"
            line += f"; plain {ratio * ours.cpu:.1f} CPU s, ratio {ratio:.1f} ({met})\n{'':12}"
            line += same_picks(ours.rows, radius, rows, plain_radius)
        print(line, flush=True)
        if title == "random":
            limit(x, budget, ours.cpu)


def same_picks(ours: Rows, radius: Floats, plain: Rows, plain_radius: Floats) -> str:
    """Whether two traversals agree; a pick's distance is the radius before it."""
    other = np.flatnonzero(ours != plain)
    before = np.append(np.inf, plain_radius)[other]  # the first pick has none
    tied = np.abs(np.append(np.inf, radius)[other] - before) <= 1e-6 * before
    picks = "picks equal: yes"
    if len(other):
        rows = len(np.setdiff1d(ours, plain))
        picks = f"picks equal: {'yes, but for ties below 1e-6' if tied.all() else 'NO'} ({len(other)} of "
        picks += f"{len(ours)} in another place, {rows} rows the other has not)"
    return f"{picks}; largest difference of the radius {np.abs(radius - plain_radius).max():.1e}"


def limit(x: NDArray[np.float32], budget: int, seconds: float) -> None:
    """How near our products come to a bare one: every row times every picked row, once."""
    work = 2 * len(x) * x.shape[1] * budget / 1e9
    cpu = time.process_time()
    for start in range(0, budget, 1024):
        x @ x[start : min(start + 1024, budget)].T
    bare = time.process_time() - cpu
    print(
        f"{'':12}{work:.0f} GFLOP: {work / seconds:.0f} GFLOP/s, and {work / bare:.0f} of a bare sgemm of "
        f"this size ({100 * bare / seconds:.0f} % of the limit)"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--k-center-rows", type=int, default=24_576)
    parser.add_argument("--k-center-share", type=int, default=30, help="percent of the rows")
    parser.add_argument("--no-plain", action="store_true", help="leave the plain ways out")
    parser.add_argument("--no-k-center", action="store_true")
    args = parser.parse_args()
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    print(f"{os.cpu_count()} cores, BLAS threads: {threads}, load {os.getloadavg()[0]:.1f}; budget {SHARE} %")
    print(f"{args.dim} dimensions, 50 after PCA, {CLUSTERS} clusters; * = estimate on 5,000 rows\n{HEAD}")
    for n in map(int, args.sizes.split(",") if args.sizes else ()):
        pool = make(n, args.dim)
        select("uniform", pool, 1)  # reads the strategies' files, which is not what is measured
        compare(pool, not args.no_plain)
        del pool
    if not args.no_k_center:
        k_center(args.k_center_rows, args.dim, args.k_center_share, not args.no_plain)


if __name__ == "__main__":
    main()
