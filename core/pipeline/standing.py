"""How one row stood among those it competed with: what a strategy's ledger says, put into words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.selection import Candidates, Ledger, Picked
from core.values import Rows

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """One row in its group, or among all rows where the strategy makes no groups."""

    where: str  # "in cluster 12"; "" = no groups
    rivals: int  # rows of the group that could be taken, itself and pins included
    taken: int  # of these
    at_random: bool  # the taken ones were drawn: no value decided
    name: str = "score"  # of the value that decided
    value: float | None = None  # the row's own, as people know it; None = it has none
    missing: bool = False  # others have a value and this row has none
    rank: int = 1  # 1 = would be taken first
    verdict: str = ""  # what the value says of a row that was not taken

    @property
    def counted(self) -> str:
        """How many of the group were taken, as the beginning of a sentence."""
        rows = f"{f'{self.taken:,}' if self.taken else 'none'} of {self.rivals:,}"
        verb = "were" if self.taken > 1 else "was"
        said = f"{self.where + ', ' if self.where else ''}{rows} rows {verb} taken"
        return said[0].upper() + said[1:]

    @property
    def odds(self) -> str:
        """A group row's chance to be drawn, as the end of that sentence; "" if all or none were."""
        if not self.at_random or self.taken in (0, self.rivals):
            return ""
        return f", drawn at random, a chance of {100 * self.taken / self.rivals:.3g} %"


def standing(picked: Picked, candidates: Candidates, ledger: Ledger, row: int) -> Standing:
    """The row's place among the rows that could be taken: not banned, not set aside, not out of the race."""
    where, group = _group(ledger, row)
    able = candidates.usable & group
    if ledger.out is not None:
        able &= ~ledger.out
    if picked.stands_for is not None:
        able &= picked.stands_for < 0
    able[row] = True  # a pin may be what the strategy never takes
    chosen = np.zeros(candidates.n, dtype=bool)
    chosen[picked.rows] = True
    taken = np.flatnonzero(able & chosen)
    alone = Standing(where, int(able.sum()), len(taken), ledger.at_random)
    if ledger.value is None or ledger.at_random:
        return alone
    values = np.asarray(ledger.value, dtype=np.float64)
    own, name = float(values[row]), ledger.value_name or "score"
    turned = name.removeprefix("minus ").removeprefix("the ")
    sign = -1 if turned != name else _sign(picked, values)
    known = np.isfinite(own)
    left = np.flatnonzero(able & ~chosen)
    rank = 1 + int((values[able] > own).sum())
    place = f"ranks {ordinal(rank)} of {alone.rivals:,}"
    return Standing(
        where,
        alone.rivals,
        alone.taken,
        at_random=False,
        name=turned,
        value=sign * own if known else None,
        missing=not known,
        rank=rank,
        verdict=_verdict(picked, values, sign, taken, left, row, place) if known and not chosen[row] else "",
    )


def _group(ledger: Ledger, row: int) -> tuple[str, NDArray[np.bool_] | bool]:
    """(the row's group in words, (n,) its members); rows of no group compete with each other."""
    if ledger.group is None:
        return "", True
    label, kind = int(ledger.group[row]), ledger.group_kind or "group"
    members = np.asarray(ledger.group == label)
    if label < 0 and label not in ledger.group_names:
        return f"among the rows without a {kind}", members
    return f"in {kind} {ledger.group_names.get(label, f'{label:,}')}", members


def _sign(picked: Picked, values: Values) -> int:
    """-1 where the ledger turned the score round, since low ones are taken first; people know it unturned."""
    for place in range(min(len(picked.rows), 20)):  # pins may come first, which have no score
        score, value = picked.reasons[place].score, values[picked.rows[place]]
        if score:
            return -1 if np.isclose(score, -value) else 1
    return 1


def _verdict(picked: Picked, values: Values, sign: int, taken: Rows, left: Rows, row: int, place: str) -> str:
    """What kept the row out: the end of a sentence that has named its group and the value."""
    own, shown = values[row], rounded(sign * values[row])
    if not len(taken):
        return f"{shown} {place}"
    line, open_line = (values[rows][np.isfinite(values[rows])] for rows in (taken, left))
    if not len(line) or (line.max() < own and line.max() <= open_line.min()):  # spent: distances, gains
        ahead = ordinal(1 + int((open_line > own).sum()))
        return f"{shown} is now {ahead} of the {len(left):,} rows not taken"
    last = float(line.min())
    if own == last:
        return f"{shown} {place}, level with the last one taken: equal rows go in the pool's order"
    if own < last:
        mine, others = apart(sign * own, sign * last)
        return f"{mine} {place}, the last one taken has {others}"
    between = _between(picked, values, sign, taken, own)
    return f"{shown} {between}" if between else f"{shown} {place}, but this value is not all that decides"


def _between(picked: Picked, values: Values, sign: int, taken: Rows, own: float) -> str:
    """Between which two kinds of taken rows the value lies, where a group is taken from both ends."""
    wanted = set(taken.tolist())
    kinds: dict[str, list[float]] = {}
    for row, reason in zip(picked.rows.tolist(), picked.reasons, strict=True):
        if row in wanted and reason.role != "pin":
            kinds.setdefault(reason.role, []).append(float(values[row]))
    below = {role: max(found) for role, found in kinds.items() if max(found) < own}
    above = {role: min(found) for role, found in kinds.items() if min(found) > own}
    if len(below) + len(above) < len(kinds) or not below or not above:
        return ""
    low, high = max(below, key=below.__getitem__), min(above, key=above.__getitem__)
    return (
        f"lies between the rows taken as {low} (up to {rounded(sign * below[low])}) "
        f"and those taken as {high} (from {rounded(sign * above[high])})"
    )


def rounded(value: float) -> str:
    """Three digits, whole numbers whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - then three are whole


def apart(a: float, b: float) -> tuple[str, str]:
    """Both rounded, with as many digits as it takes to tell them apart."""
    pairs: list[tuple[str, str]] = [(rounded(a), rounded(b))]
    pairs += [(f"{a:.{digits}g}", f"{b:.{digits}g}") for digits in (4, 6, 9)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])


def ordinal(count: int) -> str:
    """1st, 2nd, 3rd, 4th ... 11th, 12th, 13th ... 21st."""
    teen = count % 100 in (11, 12, 13)
    return f"{count:,}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(count % 10, 'th')}"
