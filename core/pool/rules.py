"""Value rules: how a source's own labels become the three flags.

One source label cannot give T1..T4, the flags can: `refusal:2_full_refusal=yes` reads the column mapped to
`refusal`, `harmful_request@harm_category:contrast_*=yes` reads any column.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.pool.read import RawTable
from core.values import BEHAVIOURS, FLAG_VALUES, FLAGS

RULE = re.compile(r"(?P<flag>\w+)(?:@(?P<column>[^:]+))?:(?P<pattern>.*)=(?P<value>yes|no)", re.DOTALL)
SHOWN = 5  # values that no rule knows, named in a note

_PLAIN = {"yes": "yes", "true": "yes", "1": "yes", "no": "no", "false": "no", "0": "no"} | {
    v: v for v in FLAG_VALUES[2:]
}
# What a cell of a flag's own column means without a rule, in lower case.
KNOWN: dict[str, dict[str, str]] = {
    "harmful_request": _PLAIN | {"harmful": "yes", "unsafe": "yes", "unharmful": "no", "safe": "no"},
    "refusal": _PLAIN | {"refusal": "yes", "compliance": "no"},
    "harmful_response": _PLAIN
    | {"rejected": "yes", "unsafe": "yes", "harmful": "yes"}
    | {"chosen": "no", "safe": "no", "unharmful": "no"},
}
# behaviour-and-prism 2.2: type -> (harmful request, refusal)
TYPES = {"T1": ("yes", "yes"), "T2": ("yes", "no"), "T3": ("no", "no"), "T4": ("no", "yes")}
TYPES |= {"UNPARSED": ("unparsed", "unparsed"), "NOT_RUN": ("not_run", "not_run")}


@dataclass(frozen=True)
class Rule:
    """`flag` is `value` where a cell of `column` (None: the flag's own) matches the glob `pattern`."""

    flag: str
    column: str | None
    pattern: str
    value: str


def parse_rule(text: str) -> Rule:
    """Read FLAG[@COLUMN]:PATTERN=yes|no; BadInput says what is wrong with it."""
    found = RULE.fullmatch(text)
    if found is None:
        raise BadInput(
            f"value rule {text!r} cannot be read; write FLAG:PATTERN=yes or FLAG@COLUMN:PATTERN=no, for "
            "example refusal:2_full_refusal=yes"
        )
    if found["flag"] not in FLAGS:
        raise BadInput(f"value rule {text!r} sets {found['flag']!r}; the flags are {', '.join(FLAGS)}")
    return Rule(found["flag"], found["column"], found["pattern"], found["value"])


def words(cell: Any) -> tuple[str, ...]:
    """The values a cell holds, as text: none for null, several for a list or a map of booleans."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ()
    if isinstance(cell, bool):
        return (str(cell), str(cell).lower())  # a rule may say True or true
    if isinstance(cell, dict):
        return tuple(str(k) for k, v in cell.items() if v)
    if isinstance(cell, (list, tuple)):
        pairs = [p for p in cell if isinstance(p, tuple)]  # arrow's map type comes as (key, value) pairs
        return tuple(str(k) for k, v in pairs if v) + tuple(str(v) for v in cell if isinstance(v, (str, int)))
    return (f"{cell:g}" if isinstance(cell, float) else str(cell),)


def flag_columns(
    raw: RawTable, columns: MappingType[str, str], rules: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The three flags, each (n,) of FLAG_VALUES, and notes on what no rule understood."""
    notes: list[str] = []
    flags = {flag: np.full(len(raw.frame), "not_run", dtype=object) for flag in FLAGS}
    if "behaviour" in columns:
        _from_types(raw, columns["behaviour"], flags, notes, columns)
    for flag in FLAGS:
        if flag in columns:
            _from_column(raw, columns[flag], flag, flags[flag])
    unmatched = {flag: flags[flag] == "not_run" for flag in FLAGS}
    for text in rules:
        rule = parse_rule(text)
        hits = _matches(raw, _rule_column(rule, columns, text), rule.pattern)
        flags[rule.flag][hits] = rule.value
        unmatched[rule.flag] &= ~hits
        if not hits.any():
            notes.append(f"Value rule {text!r} matched no row.")
    for flag in FLAGS:
        if flag in columns:
            _note_unknown(raw.cells(columns[flag]), unmatched[flag], flag, columns[flag], notes)
    return flags, notes


def _rule_column(rule: Rule, columns: MappingType[str, str], text: str) -> str:
    """The column a rule reads: named, else the flag's own, else the one that holds labels at all."""
    places = (rule.flag, "behaviour", "harmful_response", "refusal")
    column = rule.column or next((columns[p] for p in places if p in columns), None)
    if column is None:
        raise BadInput(
            f"value rule {text!r} names no column and none is mapped to {rule.flag!r}; write "
            f"{rule.flag}@COLUMN:{rule.pattern}={rule.value}, or map one (--map {rule.flag}=COLUMN)"
        )
    return column


def _matches(raw: RawTable, column: str, pattern: str) -> NDArray[np.bool_]:
    """(n,) rows with a value of `column` that fits the glob; null fits nothing."""
    known: dict[str, bool] = {}
    hits = np.zeros(len(raw.frame), dtype=bool)
    for i, cell in enumerate(raw.cells(column)):
        values = words(cell)
        if raw.bars and values:
            values += tuple(v.strip() for v in values[0].split("|"))
        for value in values:
            if value not in known:
                known[value] = fnmatchcase(value, pattern)
        hits[i] = any(known[v] for v in values)
    return hits


def _from_column(raw: RawTable, column: str, flag: str, values: NDArray[Any]) -> None:
    for i, cell in enumerate(raw.cells(column)):
        found = next((KNOWN[flag][w] for w in map(str.lower, words(cell)) if w in KNOWN[flag]), "not_run")
        if found != "not_run":
            values[i] = found


def _from_types(
    raw: RawTable,
    column: str,
    flags: dict[str, NDArray[Any]],
    notes: list[str],
    columns: MappingType[str, str],
) -> None:
    unknown = np.zeros(len(raw.frame), dtype=bool)
    for i, cell in enumerate(raw.cells(column)):
        value = (words(cell) or ("NOT_RUN",))[0].strip().upper()
        unknown[i] = value not in TYPES
        flags["harmful_request"][i], flags["refusal"][i] = TYPES.get(value, TYPES["NOT_RUN"])
    if column not in [columns.get(flag) for flag in FLAGS]:  # then the flag's own note says it
        _note_unknown(raw.cells(column), unknown, f"behaviour ({', '.join(BEHAVIOURS)})", column, notes)


def _note_unknown(
    cells: list[Any], unmatched: NDArray[np.bool_], what: str, column: str, notes: list[str]
) -> None:
    """One sentence on values that say nothing about `what`: not_run is no error, but no surprise either."""
    known = {v.lower() for v in FLAG_VALUES}
    missed = Counter(
        w
        for cell, miss in zip(cells, unmatched, strict=True)
        if miss
        for w in words(cell)[:1]
        if w.lower() not in known
    )
    missed.pop("", None)
    if missed:
        named = ", ".join(f"{value!r} ({count:,})" for value, count in missed.most_common(SHOWN))
        more = f" and {len(missed) - SHOWN} more" if len(missed) > SHOWN else ""
        notes.append(
            f"Column {column!r} says nothing about {what} in rows with {named}{more}: not_run there."
        )
