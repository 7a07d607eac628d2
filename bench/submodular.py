"""Facility location against the public packages and the plain lazy heap: seconds, objective, peak memory.

`python -m bench.submodular [--rows 10000] [--picks 1000] [--data clusters|normal] [--peer-python PYTHON]`.
apricot-select and submodlib-py are no requirement: `--peer-python` names an interpreter that has them.
Ratios compare processor seconds of the choice alone: all are handed the finished similarities; the first
line builds them too. Peaks are allocated arrays for ours and whole processes for theirs. The second table
shows what the form for large pools keeps of the full one, the third the other strategies of the family.
"""

from __future__ import annotations

import argparse
import heapq
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.selection import make
from core.selection import Candidates, Reference, select
from core.selection.coverage import cover, square
from core.selection.kernels import features
from core.values import Silent

Array = NDArray[np.float32]

PEER = """
import json, resource, sys, time
import numpy as np
package, path, picks = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = np.load(path)
if package == "apricot-select":
    from apricot import FacilityLocationSelection as Peer
    s = s.astype(np.float64)  # it takes nothing else
    warm = Peer(2, metric="precomputed", optimizer="lazy").fit(s[:50, :50].copy())  # numba compiles
    def run(): return list(Peer(picks, metric="precomputed", optimizer="lazy").fit(s).ranking)
else:
    from submodlib import FacilityLocationFunction as Peer
    def run():
        f = Peer(n=len(s), mode="dense", sijs=s, separate_rep=False)
        off = dict(stopIfZeroGain=False, stopIfNegativeGain=False, verbose=False, show_progress=False)
        return [j for j, _ in f.maximize(budget=picks, optimizer="LazyGreedy", **off)]
wall, cpu = time.perf_counter(), time.process_time()
rows = run()
done = dict(rows=[int(j) for j in rows], wall=time.perf_counter() - wall, cpu=time.process_time() - cpu,
            peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print("\\n" + json.dumps(done))
"""


def lazy_heap(s: Array, picks: int) -> list[int]:
    """Minoux's accelerated greedy, as one would first write it: a heap of old gains, looked at one by one."""
    best = np.zeros(len(s), dtype=s.dtype)
    heap = [(-float(gain), j) for j, gain in enumerate(s.sum(axis=0, dtype=np.float64))]
    heapq.heapify(heap)
    rows: list[int] = []
    while len(rows) < picks:
        _, j = heapq.heappop(heap)
        gain = float(np.maximum(s[j] - best, 0).sum(dtype=np.float64))
        if heap and gain < -heap[0][0]:
            heapq.heappush(heap, (-gain, j))
        else:
            rows.append(j)
            np.maximum(best, s[j], out=best)
    return rows


def timed(work: Callable[[], Any], memory: bool = True) -> dict[str, Any]:
    """Rows, wall and processor seconds of one call, and in a second call its peak of allocated memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    found = {"rows": rows, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": 0}
    if memory:
        tracemalloc.start()
        work()
        found["peak"] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return found


def peer(python: str, package: str, path: Path, picks: int) -> dict[str, Any] | None:
    """The same measures of a package in another interpreter; None where it is not installed there."""
    command = [python, "-c", PEER, package, str(path), str(picks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{package:28}  not run: {done.stderr.strip().splitlines()[-1]}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def chosen(
    name: str, pool: Candidates, picks: int, params: dict[str, Any] | None = None
) -> NDArray[np.int64]:
    """What a strategy takes from a pool it has never seen: else a graph of neighbours may be there."""
    return select(name, replace(pool), picks, params).rows


def value(s: Array, rows: Any) -> float:
    """The objective of the first rows, whoever chose them."""
    return float(s[:, np.asarray(rows)].max(axis=1).sum(dtype=np.float64))


def against_peers(pool: Candidates, picks: int, python: str) -> None:
    """One table: the same similarities, the same number of picks."""
    s = square(features(pool.vectors["embedding"], "cos01"), np.ones(pool.n, dtype=np.float32))
    everyone, nobody = np.ones(pool.n, dtype=bool), np.empty(0, dtype=np.int64)
    runs: dict[str, dict[str, Any] | None] = {
        "ours, with the kernel": timed(
            lambda: chosen("facility_location", pool, picks, {"neighbours": pool.n})
        ),
        "ours, kernel given": timed(lambda: cover(s, everyone, nobody, picks, Silent())[0]),
        "plain lazy heap": timed(lambda: lazy_heap(s.by_row, picks)),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "similarities.npy"
        np.save(path, s.by_row)
        for package in ("apricot-select", "submodlib-py"):
            runs[package] = peer(python, package, path, picks)
    ours = runs["ours, kernel given"]
    assert ours is not None
    head = ("wall s", 8), ("cpu s", 8), ("ratio", 7), ("objective", 16), ("peak MB", 9), ("same", 7)
    print(f"{'facility location':28}" + "".join(f"{name:>{width}}" for name, width in head))
    for name, run in runs.items():
        if run:
            same = np.isin(run["rows"], ours["rows"]).mean()
            ratio, reached = run["cpu"] / ours["cpu"], value(s.by_row, run["rows"])
            times = f"{run['wall']:8.2f}{run['cpu']:8.2f}{ratio:7.1f}"
            print(f"{name:28}{times}{reached:16.6f}{run['peak'] / 1e6:9.0f}{same:7.3f}")


def large_pools(pool: Candidates, picks: int) -> None:
    """What few neighbours keep of what all similarities gain over random rows, and what they cost."""
    s = square(features(pool.vectors["embedding"], "cos01"), np.ones(pool.n, dtype=np.float32)).by_row
    drawn = float(np.mean([value(s, select("uniform", pool, picks, seed=i).rows) for i in range(3)]))
    whole = 0.0
    print(f"{'neighbours':28}{'wall s':>8}{'cpu s':>8}{'objective':>16}{'peak MB':>9}{'kept':>7}")
    for k in (pool.n, 256, 128, 64, 32):
        run = timed(lambda k=k: chosen("facility_location", pool, picks, {"neighbours": k}))  # type: ignore[misc]
        reached = value(s, run["rows"])
        whole = whole or reached
        kept = (reached - drawn) / (whole - drawn)
        line = f"{run['wall']:8.2f}{run['cpu']:8.2f}{reached:16.3f}{run['peak'] / 1e6:9.0f}{kept:7.3f}"
        print(f"{'all' if k == pool.n else k!s:28}{line}")


def family(pool: Candidates, picks: int) -> None:
    """The other strategies at the same size."""
    print(f"{'strategy':28}{'wall s':>8}{'cpu s':>8}{'peak MB':>25}")
    for name in ("facility_location_query", "graph_cut", "log_det", "d2", "k_center"):
        run = timed(lambda name=name: chosen(name, pool, picks))  # type: ignore[misc]
        print(f"{name:28}{run['wall']:8.2f}{run['cpu']:8.2f}{run['peak'] / 1e6:25.0f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--picks", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--data", choices=("clusters", "normal"), default="clusters")
    parser.add_argument("--vectors", type=Path, help="an .npy of real vectors (rows, dim) instead")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--only", choices=("peers", "large", "family"))
    args = parser.parse_args()
    pool = make(args.rows, args.dim, 100 if args.data == "clusters" else args.rows)
    x = pool.vectors["embedding"]
    if args.vectors:
        x = np.random.default_rng(0).permutation(np.load(args.vectors))[: args.rows]
    reference = {"embedding": Reference(x[:500])}
    pool = Candidates(n=len(x), vectors={"embedding": x}, scores=pool.scores, references=reference)
    select("uniform", pool, 1)  # reads the strategies' files, which is not what is measured
    print(f"{len(x)} rows x {x.shape[1]}, {args.picks} picks")
    if args.only in (None, "peers"):
        against_peers(pool, args.picks, args.peer_python)
    if args.only in (None, "large"):
        large_pools(pool, args.picks)
    if args.only in (None, "family"):
        family(pool, args.picks)


if __name__ == "__main__":
    main()
