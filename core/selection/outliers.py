"""Which rows lie far from all others: what covers a space would spend its first rows on them.

Selection 8.1: the q % of rows with the largest distance to their k-th nearest row; k is ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import Matrix, blocks, centred, squares

NEIGHBOUR = 10  # a row with fewer rows than this near it is far off
SAMPLE = 8192  # rows that are compared with


def neighbour_distance(x: Matrix) -> NDArray[np.float64]:
    """(n,) distance of each row of x (n, d) to its NEIGHBOUR-th nearest other row, or to its farthest.

    Above SAMPLE rows it is estimated on that many, drawn with a fixed seed: with half of the rows, the 5th
    nearest of them is about as far off as the 10th of all.
    """
    n = len(x)
    sample = np.sort(np.random.default_rng(0).permutation(n)[:SAMPLE])
    k = min(max(round(NEIGHBOUR * len(sample) / max(n, 1)), 1), len(sample) - 1)
    work = centred(x)
    size, twice, far = squares(work), -2 * work[sample].T, np.zeros(n)
    for s in blocks(n, len(sample)) if k > 0 else ():
        d = work[s] @ twice
        d += size[sample]
        mine = np.flatnonzero((sample >= s.start) & (sample < s.stop))
        d[sample[mine] - s.start, mine] = np.inf  # no row is its own neighbour
        far[s] = size[s] + np.partition(d, k - 1, axis=1)[:, k - 1]
    return np.asarray(np.sqrt(np.maximum(far, 0.0)))
