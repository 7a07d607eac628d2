"""Selection strategies against the slow obvious way: seconds, ratio, peak memory, and whether the rows agree.

`python -m bench.selection [--rows 20000] [--dim 384] [--share 10]`. The obvious ways are plain numpy as one
would first write it; they give bare rows, ours a reason for each too.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.selection import Candidates, Score, select
from core.selection.diagnostics import aucpr, redundancy

Array = NDArray[np.float32]


def make(n: int, d: int, clusters: int, seed: int = 0) -> Candidates:
    """A pool of unit vectors around `clusters` directions, with scores, categories and behaviours."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, clusters, n)
    x = rng.standard_normal((n, d), dtype=np.float32)
    x += 2 * rng.standard_normal((clusters, d), dtype=np.float32)[labels]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Candidates(
        n=n,
        vectors={"embedding": x, "pca50": np.ascontiguousarray(x[:, :50])},
        clusters={"kmeans": labels},
        scores={"el2n": Score(rng.standard_normal(n))},
        category_names=tuple(f"category {c}" for c in range(14)),
        categories=rng.random((n, 14)) < np.linspace(0.01, 0.2, 14),
        behaviour=rng.choice(np.array(["T1", "T2", "T3", "T4"], dtype=object), n),
    )


def plain_k_center(pool: Candidates, budget: int) -> NDArray[np.int64]:
    """One pass over the data per pick."""
    x = pool.vectors["embedding"]
    picked = [int(np.linalg.norm(x - x.mean(axis=0), axis=1).argmin())]
    gap = np.linalg.norm(x - x[picked[0]], axis=1)
    while len(picked) < budget:
        gap[picked[-1]] = -1.0
        picked.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(x - x[picked[-1]], axis=1))
    return np.array(picked)


def plain_ccs(pool: Candidates, budget: int) -> NDArray[np.int64]:
    """Fifty strata, each found by a pass over all scores."""
    rng, score = np.random.default_rng(0), pool.scores["el2n"].values
    kept = np.argsort(score)[: int(0.9 * pool.n)]
    edges = np.linspace(score[kept].min(), score[kept].max(), 51)
    bins = [kept[(score[kept] >= a) & (score[kept] < b)] for a, b in pairwise(edges)]
    bins, left, picked = sorted(bins, key=len), budget, []
    for i, rows in enumerate(bins):
        take = min(len(rows), left // (50 - i))
        picked.append(rng.choice(rows, take, replace=False))
        left -= take
    return np.concatenate(picked)


def plain_saps(pool: Candidates, budget: int) -> NDArray[np.int64]:
    """Distances to all centroids one centroid at a time, then both ends of each cluster in a loop."""
    x, labels = pool.vectors["pca50"], pool.clusters["kmeans"]
    names = np.unique(labels)
    middle = np.stack([x[labels == c].mean(axis=0) for c in names])
    d = np.stack([np.linalg.norm(x - m, axis=1) for m in middle], axis=1)
    picked: list[int] = []
    for c in names:
        rows = np.flatnonzero(labels == c)
        own, other = d[rows, c], np.delete(d[rows], c, axis=1).min(axis=1)
        b = round(budget * len(rows) / pool.n)
        edge = rows[np.argsort(-own / other)][: b // 2]
        heart = [r for r in rows[np.argsort(own)] if r not in set(edge.tolist())]
        picked += [*edge.tolist(), *heart[: b - len(edge)]]
    return np.array(picked)


def plain_uniform(pool: Candidates, budget: int) -> NDArray[np.int64]:
    """One call."""
    return np.random.default_rng(0).choice(pool.n, budget, replace=False)


@dataclass(frozen=True)
class Run:
    """One timed call."""

    rows: NDArray[np.int64]
    seconds: float
    peak: int  # bytes allocated at most, beyond the input


def timed(work: Callable[[], NDArray[np.int64]], memory: bool = True) -> Run:
    """Seconds of one call and, in a second call, its peak of allocated memory."""
    started = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - started
    peak = 0
    if memory:
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Run(rows, seconds, peak)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--share", type=float, default=10.0, help="budget in percent of the rows")
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--no-plain", action="store_true", help="leave the slow obvious ways out")
    args = parser.parse_args()
    pool = make(args.rows, args.dim, args.clusters)
    budget = round(args.rows * args.share / 100)
    plain = {"k_center": plain_k_center, "ccs": plain_ccs, "saps": plain_saps, "uniform": plain_uniform}
    select("uniform", pool, 1)  # reads the strategies' files, which is not what is measured
    print(f"{args.rows} rows x {args.dim}, budget {budget}, {args.clusters} clusters")
    print(f"{'strategy':10}{'ours s':>9}{'plain s':>9}{'ratio':>8}{'peak MB':>9}{'same rows':>11}")
    for name in ("uniform", "ccs", "saps", "sss", "blend", "k_center"):
        ours = timed(lambda name=name: select(name, pool, budget).rows)  # type: ignore[misc]
        line = f"{name:10}{ours.seconds:9.3f}"
        if name in plain and not args.no_plain:
            other = timed(lambda name=name: plain[name](pool, budget), memory=False)  # type: ignore[misc]
            ratio = other.seconds / ours.seconds
            same = f"{np.isin(ours.rows, other.rows).mean():11.3f}" if name in ("k_center", "saps") else ""
            print(f"{line}{other.seconds:9.3f}{ratio:8.1f}{ours.peak / 1e6:9.1f}{same}")
        else:
            print(f"{line}{'':17}{ours.peak / 1e6:9.1f}")
        if name == "k_center":
            read = pool.vectors["embedding"].nbytes * budget / ours.seconds / 1e9
            per_pick = 1e3 * ours.seconds / budget
            print(f"k_center: {per_pick:.3f} ms per pick; one pass per pick would need {read:.0f} GB/s")
    rows = select("uniform", pool, budget).rows
    x = pool.vectors["embedding"]
    for title, work in (("AUCpr", aucpr), ("redundancy", redundancy)):
        found = timed(lambda work=work: np.array([work(x, rows)]))  # type: ignore[misc]
        print(f"{title:10}{found.seconds:9.3f}{'':17}{found.peak / 1e6:9.1f}")


if __name__ == "__main__":
    main()
