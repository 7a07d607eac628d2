"""How one row stood among those it competed with: what a strategy's ledger says, put into words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.selection import Candidates, Ledger, Picked
from core.values import Rows

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """One row in its group, or among all rows where the strategy makes no groups."""

    where: str  # "in cluster 12"; "" = no groups
    rivals: int  # rows of the group that could be taken, itself included, pins left out
    taken: int  # of these
    at_random: bool  # the taken ones were drawn: no value decided
    name: str = "score"  # of the value that decided
    value: float | None = None  # the row's own, as people know it; None = it has none
    missing: bool = False  # others have a value and this row has none
    rank: int = 1  # 1 = would be taken first
    verdict: str = ""  # what the value says of a row that was not taken
    pinned: int = 0  # rows of the group that a person took: they compete with nobody
    overlapping: bool = False  # rows of the group may be drawn for other groups too

    @property
    def counted(self) -> str:
        """How many of the group were taken, as the beginning of a sentence."""
        counts = self.overlapping and self.where.startswith("in ")
        all_rows = f"the {self.rivals:,} rows that count for it" if counts else f"{self.rivals:,} rows"
        some = f"{self.taken:,}" if self.taken else "none"
        verb = "were" if self.taken > 1 else "was"
        said = f"{self.where + ', ' if self.where else ''}{some} of {all_rows} {verb} taken{self._pins}"
        return said[0].upper() + said[1:]

    @property
    def _pins(self) -> str:
        """The rows that a person took, apart from those that the strategy took."""
        if not self.pinned or self.taken:
            return f" and {self.pinned:,} pinned" if self.pinned else ""
        many = self.pinned > 1
        rows = f"{self.pinned:,} pinned row{'s fill' if many else ' fills'}"
        return f": its {rows} its share" if self.where else f": the {rows} the budget"

    @property
    def odds(self) -> str:
        """A group row's chance to be drawn, as the end of that sentence; "" if all or none were.

        Where groups share rows, a row may be drawn for another group than its own: its chance is not known.
        """
        if not self.at_random or self.taken in (0, self.rivals):
            return ""
        drawn = f"{'; the taken ones were' if self.pinned else ','} drawn at random"
        return drawn if self.overlapping else f"{drawn}, a chance of {100 * self.taken / self.rivals:.3g} %"


def standing(picked: Picked, candidates: Candidates, ledger: Ledger, row: int) -> Standing:
    """The row's place among the rows that could be taken: not banned, not set aside, not out of the race."""
    where, group = _group(ledger, row)
    everyone = candidates.free
    if ledger.out is not None:
        everyone &= ~ledger.out
    if picked.stands_for is not None:
        everyone &= picked.stands_for < 0
    able = everyone & group
    able[row] = True  # it may have been taken from those that come last, out of the race
    chosen = np.zeros(candidates.n, dtype=bool)
    chosen[picked.rows] = True
    taken = np.flatnonzero(able & chosen & ~candidates.pinned)
    alone = Standing(
        where,
        int(able.sum()),
        len(taken),
        ledger.at_random,
        pinned=int((candidates.pinned & group).sum()),
        overlapping=ledger.overlapping or _shared(candidates, ledger, everyone),
    )
    if ledger.value is None or ledger.at_random or (ledger.spent and chosen[row]):
        return alone
    values = np.asarray(ledger.value, dtype=np.float64)
    own, name = float(values[row]), ledger.value_name or "score"
    turned = name.removeprefix("minus ").removeprefix("the ")
    sign = -1 if turned != name else _sign(picked, values)
    known = np.isfinite(own)
    left = np.flatnonzero(able & ~chosen)
    rank = 1 + int((values[able] > own).sum())
    place = f"ranks {ordinal(rank)} of {alone.rivals:,}"
    verdict = ""
    if known and not chosen[row]:
        verdict = (
            _in_line(values, sign, left, row)
            if ledger.spent
            else _verdict(picked, values, sign, taken, left, row, place)
        )
    return replace(
        alone,
        name=turned,
        value=sign * own if known else None,
        missing=not known,
        rank=rank,
        verdict=verdict,
    )


def _shared(candidates: Candidates, ledger: Ledger, able: NDArray[np.bool_]) -> bool:
    """Whether the groups are categories, and rows (n,) that could be taken carry several."""
    if ledger.group is None or ledger.group_kind != "category" or candidates.categories is None:
        return False
    return bool((candidates.categories[able].sum(axis=1) > 1).any())


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
    for row, reason in zip(picked.rows, picked.reasons, strict=True):  # pins come first, which have no score
        if reason.score:
            return -1 if np.isclose(reason.score, -values[row]) else 1
    return 1


def _verdict(picked: Picked, values: Values, sign: int, taken: Rows, left: Rows, row: int, place: str) -> str:
    """What kept the row out: the end of a sentence that has named its group and the value."""
    own, shown = values[row], rounded(sign * values[row])
    if not len(taken):
        return f"{shown} {place}"
    line, open_line = (values[rows][np.isfinite(values[rows])] for rows in (taken, left))
    if not len(line) or (line.max() < own and line.max() <= open_line.min()):  # spent, as gains are
        return _in_line(values, sign, left, row)
    last = float(line.min())
    if own == last:
        return f"{shown} {place}, level with the last one taken: equal rows go in the pool's order"
    if own < last:
        mine, others = apart(sign * own, sign * last)
        return f"{mine} {place}, the last one taken has {others}"
    between = _between(picked, values, sign, taken, own)
    return f"{shown} {between}" if between else f"{shown} {place}, but this value is not all that decides"


def _in_line(values: Values, sign: int, left: Rows, row: int) -> str:
    """The row among those not taken, where a taken row's value no longer compares."""
    ahead = ordinal(1 + int((values[left] > values[row]).sum()))
    return f"{rounded(sign * values[row])} is now {ahead} of the {len(left):,} rows not taken"


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
