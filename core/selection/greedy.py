"""Greedy choice where gains only fall: few passes over the data, as in farthest-first traversal.

Gains that only fall are upper bounds however old they are (Minoux 1978). So rows are picked from among
those with the largest gains, updating only these few, for as long as the best of them beats the largest
gain that any other row had. Then all rows are brought up to date by one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.values import Reporter, Rows

Gains = NDArray[np.float64]

FEWEST, MOST = 32, 512  # rows looked at together: twice as many as the last batch could take
DIGITS = 10  # gains that agree in so many digits of the largest are a tie, which goes to the lower row


class Falling(Protocol):
    """Gains (n,) of a choice that grows, and how they fall."""

    gains: Gains

    def among(self, rows: Rows) -> Callable[[int], Gains]:
        """By how much the gains of these rows fall when the row at a place among them is taken next."""
        ...

    def take(self, rows: Rows) -> None:
        """Bring all gains up to date after these rows were taken, in this order."""
        ...


def pick_falling(
    model: Falling, open_rows: NDArray[np.bool_], count: int, reporter: Reporter
) -> tuple[Rows, Gains]:
    """`count` of the open rows, each the one with the largest gain; and the gain each had then."""
    left, ahead = open_rows.copy(), FEWEST
    picked: list[Rows] = [np.empty(0, dtype=np.int64)]
    worth: list[Gains] = [np.empty(0)]
    done = 0
    digits = DIGITS - int(np.ceil(np.log10(max(float(np.abs(model.gains).max()), 1e-30))))
    while done < count:
        reporter.progress(done, count, "rows")
        rows, gain = _pick_ahead(model, left, min(count - done, ahead), ahead, digits)
        model.take(rows)
        left[rows] = False
        picked.append(rows)
        worth.append(gain)
        done += len(rows)
        ahead = min(max(2 * len(rows), FEWEST), MOST)
    return np.concatenate(picked), np.concatenate(worth)


def _pick_ahead(
    model: Falling, left: NDArray[np.bool_], room: int, ahead: int, digits: int
) -> tuple[Rows, Gains]:
    """The next rows, at least one and at most `room`."""
    rows, bound, rival = leaders(np.where(left, np.round(model.gains, digits), -np.inf), ahead)
    near, fall = model.gains[rows], model.among(rows)
    near[~left[rows]] = -np.inf
    picked: list[int] = []
    worth: list[float] = []
    while len(picked) < room:
        rounded = np.round(near, digits)
        j = int(rounded.argmax())
        if rounded[j] < bound or (rounded[j] == bound and rows[j] > rival):
            break  # a row outside may have the largest gain now
        picked.append(j)
        worth.append(near[j])
        near -= fall(j)
        near[j] = -np.inf
    return rows[picked], np.array(worth)


def leaders(gains: Gains, count: int) -> tuple[Rows, float, int]:
    """(rows, bound, rival): the `count` rows with the largest gains, and what holds for all others.

    No other row is above `bound`, and `rival` is the lowest other row that is at it (ties go to lower rows).
    The rows are ascending, so that argmax gives ties to the lower one.
    """
    if count >= len(gains):
        return np.arange(len(gains)), -np.inf, len(gains)
    last = np.partition(gains, -count)[-count]
    above, tied = np.flatnonzero(gains > last), np.flatnonzero(gains == last)
    room = count - len(above)
    rival = int(tied[room]) if len(tied) > room else len(gains)
    return np.sort(np.concatenate([above, tied[:room]])), float(last), rival
