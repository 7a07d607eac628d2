"""Interval of a share: k of n units have the property.

E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927), 209-212.
"""

from __future__ import annotations

import math

NORMAL_95 = 1.959963984540054  # two-sided 95 % point of the standard normal


def wilson(k: int, n: int, z: float = NORMAL_95) -> tuple[float, float]:
    """Lower and upper bound of a share k/n; keeps a width at k = 0 and k = n, where bootstraps do not.

    No units at all (n = 0) say nothing: (0, 1).
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} units cannot have the property")
    if n == 0:
        return 0.0, 1.0
    share = k / n
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)
