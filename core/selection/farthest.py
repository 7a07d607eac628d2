"""Farthest-first traversal (Gonzalez 1985), exact but with few passes over the data.

Distances to the picked set only fall. So rows are picked from among those with the largest distances,
updating only these few, for as long as the best of them beats the largest distance that any other row had:
then it is the true maximum. After such a batch all rows are brought up to date by one matrix product, which
reads the data once instead of once per pick (selection 8).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import Matrix, blocks, squared_distances, squares
from core.values import Reporter, Rows

AHEAD = 512  # rows looked at together; 256 to 1024 were about as fast at 20,000 x 384
DEEP = 128  # columns of one product; see `_less_own_square`
PICKED = -1.0  # squared distance of a picked row: it must lose to everything, a duplicate at 0 included


Squared = NDArray[np.float64]


@dataclass(frozen=True)
class Traversal:
    """Rows picked one after another, and how well they cover."""

    rows: Rows  # (count,) in the order they were picked
    gap: NDArray[np.float64]  # (count,) distance of each to the seeds and rows before it
    radius: NDArray[np.float64]  # (seeds + count,) covering radius after each seed and each picked row
    left: NDArray[np.float64]  # (n,) distance of every row to the nearest seed or picked row


def farthest_first(x: Matrix, seeds: Rows, count: int, reporter: Reporter) -> Traversal:
    """Add `count` of the distinct rows of x (n, d) to `seeds`, each the farthest from all before it.

    Ties go to the lower row. Needs (n,) memory beside x and blocks.
    """
    size = np.concatenate([squares(x[s].astype(np.float64)) for s in blocks(*x.shape)])
    gap, seed_radius = _cover_by_seeds(x, size, seeds)
    rows: list[Rows] = [np.empty(0, dtype=np.int64)]
    far: list[Squared] = [np.empty(0)]
    done = 0
    while done < count:
        reporter.progress(done, count, "rows")
        new, distance = _pick_ahead(x, gap, count - done)
        _bring_up_to_date(x, size, gap, new)
        rows.append(new)
        far.append(distance)
        done += len(new)
    gaps = np.sqrt(np.concatenate(far))
    left = np.sqrt(np.maximum(gap, 0.0))
    radius = np.concatenate([seed_radius[:-1], gaps, [left.max()]])  # the next row's gap is the radius before
    return Traversal(np.concatenate(rows), gaps, radius, left)


def _cover_by_seeds(x: Matrix, size: Squared, seeds: Rows) -> tuple[Squared, NDArray[np.float64]]:
    """(gap (n,) squared, radius after each seed)."""
    gap, widest = np.empty(len(x)), np.zeros(len(seeds))
    for s in blocks(len(x), len(seeds)):
        d = np.minimum.accumulate(_squared_distances(x, size, s, seeds), axis=1)
        widest = np.maximum(widest, d.max(axis=0))
        gap[s] = d[:, -1]
    gap[seeds] = PICKED
    return gap, np.sqrt(widest)


def _squared_distances(x: Matrix, size: Squared, part: slice, rows: Rows) -> Squared:
    """(part, rows) of x, clamped at 0 (selection 8.3)."""
    d = _less_own_square(x[part], x[rows], size[rows]) + size[part][:, None]
    return np.maximum(d, 0.0)


def _less_own_square(part: Matrix, picked: Matrix, picked_size: Squared) -> Matrix:
    """(part, picked) squared distances less the squares of `part`, through products.

    Of few columns each: a product adds its columns up one after another, and 384 of them in float32 were off
    by more than 1e-6, which is more than two candidates may differ by.
    """
    twice = -2 * picked.T
    d = part[:, :DEEP] @ twice[:DEEP]
    for start in range(DEEP, part.shape[1], DEEP):
        d += part[:, start : start + DEEP] @ twice[start : start + DEEP]
    d += picked_size.astype(d.dtype)
    return d


def _pick_ahead(x: Matrix, gap: Squared, room: int) -> tuple[Rows, Squared]:
    """The next rows of the traversal, at least one and at most `room`, and their squared distances."""
    ahead, bound, rival = largest(gap, AHEAD)
    near, exact = gap[ahead], x[ahead].astype(np.float64)
    between = squared_distances(exact, exact, squares(exact), squares(exact))
    picked: list[int] = []
    distance: list[float] = []
    while len(picked) < room:
        j = int(near.argmax())
        if near[j] < bound or (near[j] == bound and ahead[j] > rival):
            break  # a row outside `ahead` may be the true maximum now
        picked.append(j)
        distance.append(near[j])
        np.minimum(near, between[j], out=near)
        near[j] = PICKED
    return ahead[picked], np.array(distance)


def largest(value: Matrix, count: int) -> tuple[Rows, float, int]:
    """(ahead, bound, rival): the rows with the `count` largest of `value` (n,), and what holds for others.

    No other row is above `bound`, and `rival` is the lowest other row that is at it, or n (ties go to lower
    rows). `ahead` is ascending, so that argmax gives ties to the lower row.
    """
    n = len(value)
    if count >= n:
        return np.arange(n), -np.inf, n
    bound = np.partition(value, n - count)[n - count]
    above, tied = np.flatnonzero(value > bound), np.flatnonzero(value == bound)
    room = count - len(above)
    rival = int(tied[room]) if len(tied) > room else n
    return np.sort(np.concatenate([above, tied[:room]])), bound, rival


def _bring_up_to_date(x: Matrix, size: Squared, gap: Squared, new: Rows) -> None:
    """Lower every row's squared distance to what the new rows make it."""
    added, added_size = x[new], size[new]
    for s in blocks(len(x), len(new)):
        least = _less_own_square(x[s], added, added_size).min(axis=1)
        np.minimum(gap[s], np.maximum(least + size[s], 0.0), out=gap[s])
    gap[new] = PICKED


def first_of_equals(x: Matrix) -> Rows:
    """(n,) for each row the lowest row with exactly the same numbers.

    Exact duplicates are told apart by their bytes, since the distance of two equal rows, computed through a
    product, is not exactly 0.
    """
    seen: dict[bytes, int] = {}
    first = np.empty(len(x), dtype=np.int64)
    for s in blocks(len(x), x.shape[1]):
        for i, row in enumerate(np.ascontiguousarray(x[s] + 0.0), start=s.start):  # + 0.0 turns -0 into 0
            first[i] = seen.setdefault(hashlib.blake2b(row.data, digest_size=16).digest(), i)
    return first
