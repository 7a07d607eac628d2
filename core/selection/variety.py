"""Takes rows by value, less what they resemble rows taken before: greedy and exact, with few cosines.

A Winnow definition in the manner of maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): value
= total - weight * max(0, cosine to the most similar row taken before). As in farthest-first traversal it
only falls while rows are taken, so what was found for a row earlier stays an upper bound. Only the rows with
the largest bounds are looked at, and taken for as long as the best of them beats the bounds of all others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.selection.distance import Matrix, tiles, unit
from core.selection.farthest import largest
from core.values import Reporter, Rows

AHEAD = 512  # rows that are taken from together
FRESH = (2048, 2**15)  # fewest and most rows brought up to date together: 512 took twice as long
GONE = -np.inf  # value of a row that is taken

Values = NDArray[np.float64]


class Varied:
    """Chooses rows one after another; what it took is known to its next call."""

    def __init__(self, x: Matrix, total: Values, weight: float, pins: Rows, reporter: Reporter) -> None:
        """`x` (n, d) are the vectors, `total` (n,) is what rows are worth alone; pins count as taken."""
        self._x, self._total, self._weight, self._reporter = x, total, weight, reporter
        self._taken: Rows = np.asarray(pins, dtype=np.int64)
        self._like = np.zeros(len(total))  # the largest cosine to the taken rows, 0 to 1, as far as known
        self._seen = np.zeros(len(total), dtype=np.int64)  # how many of the taken rows that are

    @property
    def penalty(self) -> Values:
        """(n,) what is taken off each total: of a taken row when it was taken, of others at least this."""
        return self._weight * self._like

    def __call__(self, rows: Rows, count: int, group: int = 0) -> Rows:
        """The next `count` of `rows` (m,), ascending, or all of them; in order, ties to the lower row.

        `group` is not looked at.
        """
        before = len(self._taken)
        end, fresh = before + min(count, len(rows)), FRESH[0]
        rows = self._in_reach(rows, count)
        value = self._value(rows)
        while len(self._taken) < end:
            self._reporter.progress(len(self._taken) - before, end - before, "rows")
            found = self._round(rows, value, fresh, end - len(self._taken))
            few = found < AHEAD // 16  # the bounds were stale
            fresh = min(4 * fresh, FRESH[1]) if few else max(fresh // 2, FRESH[0])
        return self._taken[before:]

    def _value(self, rows: Rows) -> Values:
        return np.asarray(self._total[rows] - self._weight * self._like[rows])

    def _in_reach(self, rows: Rows, count: int) -> Rows:
        """Without rows that `count` others will stay above, whatever is taken."""
        if not 0 < count < len(rows):
            return rows
        total = self._total[rows]
        least = float(np.partition(total, len(total) - count)[len(total) - count]) - self._weight
        return rows[self._value(rows) >= least]

    def _round(self, rows: Rows, value: Values, fresh: int, room: int) -> int:
        """Take at most `room` rows from the top of `value` (m,), `fresh` of them brought up to date."""
        top, outer, outer_rival = largest(value, fresh)
        top = top[value[top] > GONE]
        self._bring_up_to_date(rows[top])
        value[top] = self._value(rows[top])
        best, inner, inner_rival = largest(value[top], AHEAD)
        ahead = top[best]
        rivals = [(GONE, 0)]  # (value, - place) of the best row that is not ahead
        if fresh < len(rows):
            rivals.append((outer, -outer_rival))
        if len(top) > AHEAD:
            rivals.append((inner, -int(np.append(top, len(rows))[inner_rival])))
        bound, rival = max(rivals)
        picked = self._pick(rows[ahead], room, bound, int(np.searchsorted(ahead, -rival)))
        value[ahead] = self._value(rows[ahead])
        value[ahead[picked]] = GONE
        return len(picked)

    def _bring_up_to_date(self, rows: Rows) -> None:
        """Compare rows with all that was taken since the longest time any of them was compared."""
        since = int(self._seen[rows].min(initial=len(self._taken)))
        if since == len(self._taken):
            return
        x, taken = unit(self._x[rows], np.float64), unit(self._x[self._taken[since:]], np.float64).T
        for s, c in tiles(len(rows), taken.shape[1]):
            like = _likeness((x[s] @ taken[:, c]).max(axis=1))
            self._like[rows[s]] = np.maximum(self._like[rows[s]], like)
        self._seen[rows] = len(self._taken)

    def _pick(self, rows: Rows, room: int, bound: float, level: int) -> list[int]:
        """Places of the rows to take, in order: those above `bound`, and the first `level` also at it."""
        x = unit(self._x[rows], np.float64)
        between = _likeness(x @ x.T)
        total, like = self._total[rows].copy(), self._like[rows].copy()
        picked: list[int] = []
        while len(picked) < room:
            value = total - self._weight * like
            j = int(value.argmax())
            if value[j] == GONE or value[j] < bound or (value[j] == bound and j >= level):
                break
            picked.append(j)
            self._like[rows[j]] = like[j]
            total[j] = GONE
            np.maximum(like, between[j], out=like)
        rest = total > GONE
        self._like[rows[rest]] = like[rest]
        self._taken = np.concatenate([self._taken, rows[picked]])
        self._seen[rows] = len(self._taken)
        return picked


def _likeness(cosine: Values) -> Values:
    """Cosines to nine digits, 1 at most, so that equal rows tie however a product is computed."""
    return np.round(cosine, 9)
