"""Farthest-first traversal (Gonzalez 1985), exact but with few passes over the data.

Distances to the picked set only fall. So rows are picked from among those with the largest distances,
updating only these few, for as long as the best of them beats the largest distance that any other row had:
then it is the true maximum. After such a batch all rows are brought up to date by one matrix product, which
reads the data once instead of once per pick (selection 8).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import Matrix, blocks, squared_distances, squares
from core.values import Reporter, Rows

AHEAD = 512  # rows looked at together; 256 to 1024 were about as fast at 20,000 x 384
PICKED = -1.0  # squared distance of a picked row: it must lose to everything, a duplicate at 0 included


def farthest_first(
    x: Matrix, seeds: Rows, count: int, reporter: Reporter
) -> tuple[Rows, NDArray[np.float64], NDArray[np.float64]]:
    """Add `count` of the distinct rows of x (n, d) to `seeds`, each the farthest from all before it.

    Returns (picked (count,), gap (count,), radius (len(seeds) + count,)): the rows in order, the distance of
    each to those before it, and the covering radius after each seed and each picked row. Ties go to the lower
    row. Needs (n,) memory beside x and blocks.
    """
    size = squares(x)
    gap, seed_radius = _cover_by_seeds(x, size, seeds)
    rows: list[Rows] = []
    far: list[Matrix] = [np.empty(0)]
    done = 0
    while done < count:
        reporter.progress(done, count, "rows")
        new, distance = _pick_ahead(x, size, gap, count - done)
        _bring_up_to_date(x, size, gap, new)
        rows.append(new)
        far.append(distance)
        done += len(new)
    gaps = np.sqrt(np.concatenate(far).astype(np.float64))
    last = np.sqrt(max(float(gap.max()), 0.0))
    radius = np.concatenate([seed_radius[:-1], gaps, [last]])  # the next row's gap is the radius before it
    picked = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
    return picked, gaps, radius


def _cover_by_seeds(x: Matrix, size: Matrix, seeds: Rows) -> tuple[Matrix, NDArray[np.float64]]:
    """(gap (n,) squared, radius after each seed)."""
    gap, widest = np.empty_like(size), np.zeros(len(seeds))
    for s in blocks(len(x), len(seeds)):
        d = np.minimum.accumulate(squared_distances(x[s], x[seeds], size[s], size[seeds]), axis=1)
        widest = np.maximum(widest, d.max(axis=0))
        gap[s] = d[:, -1]
    gap[seeds] = PICKED
    return gap, np.sqrt(widest)


def _pick_ahead(x: Matrix, size: Matrix, gap: Matrix, room: int) -> tuple[Rows, Matrix]:
    """The next rows of the traversal, at least one and at most `room`, and their squared distances."""
    ahead, bound, rival = _largest(gap)
    near = gap[ahead]
    between = squared_distances(x[ahead], x[ahead], size[ahead], size[ahead])
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
    return ahead[picked], np.array(distance, dtype=gap.dtype)


def _largest(gap: Matrix) -> tuple[Rows, float, int]:
    """(ahead, bound, rival): the rows with the AHEAD largest gaps, and what holds for all other rows.

    No other row is above `bound`, and `rival` is the lowest other row that is at it (ties go to lower rows).
    `ahead` is ascending, so that argmax gives ties to the lower row.
    """
    k = min(AHEAD, len(gap))
    bound = np.partition(gap, -k)[-k]
    above, tied = np.flatnonzero(gap > bound), np.flatnonzero(gap == bound)
    room = k - len(above)
    rival = int(tied[room]) if len(tied) > room else len(gap)
    return np.sort(np.concatenate([above, tied[:room]])), bound, rival


def _bring_up_to_date(x: Matrix, size: Matrix, gap: Matrix, new: Rows) -> None:
    """Lower every row's squared distance to what the new rows make it."""
    added, added_size = x[new], size[new]
    for s in blocks(len(x), len(new)):
        np.minimum(gap[s], squared_distances(x[s], added, size[s], added_size).min(axis=1), out=gap[s])
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
