"""Which column of a source is which field of a pool: a value to show and edit, and a first guess at it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import Field

from core.errors import BadInput
from core.pool.read import RawTable
from core.pool.rules import KNOWN, parse_rule, words
from core.values import BEHAVIOURS, FLAGS, Frozen

TEXTS = ("prompt", "response", "rejected")
FIELDS = ("id", *TEXTS, "category", *FLAGS, "behaviour", "group", "source")

# Names under which sources keep a field, best first; compared in lower case with "_" for "-" and " ".
NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "uid", "uuid", "example_id", "row_id"),
    "prompt": ("prompt", "prompt_text", "instruction", "question", "context", "query", "request", "input"),
    "response": (
        *("chosen", "unpert_gen_text", "response", "answer", "completion", "output", "continuation"),
        *("continuation_text", "neutral1", "text", "content", "tweet"),
    ),
    "rejected": ("rejected", "pert_gen_text", "rejected_response", "toxic"),
    "category": ("category", "categories", "harm_category", "harm_categories", "hazard", "hazard_category"),
    "harmful_request": ("harmful_request", "prompt_harm_label"),
    "refusal": ("refusal", "response_refusal", "response_refusal_label", "is_refusal"),
    "harmful_response": ("harmful_response", "response_harm_label"),
    "behaviour": ("behaviour", "behavior", "behaviour_type", "behavior_type"),
    "group": ("group", "prompt_group", "group_id"),
    "source": ("source", "dataset", "origin"),
}
LABELS = ("behaviour_label", "behavior_label", "label", "final_label", "response_label")
DISTINCT = 0.9  # a column whose values repeat more than this is no id, whatever its name


class Mapping(Frozen):
    """Field -> source column, and value rules as typed; FIELDS lists the fields."""

    columns: dict[str, str] = Field(
        default_factory=dict, description="Field of the pool -> column of the source."
    )
    rules: tuple[str, ...] = Field(
        (), description="Value rules FLAG[@COLUMN]:PATTERN=yes|no; the last one that fits a cell decides."
    )


def guess_mapping(raw: RawTable) -> Mapping:
    """A first mapping from the columns' names, and for labels from their values too; meant to be shown."""
    by_name = {str(c).lower().replace("-", "_").replace(" ", "_"): str(c) for c in raw.frame.columns}
    columns: dict[str, str] = {}
    for field in FIELDS:
        found = next((by_name[n] for n in NAMES[field] if n in by_name), None)
        if found is not None and found not in columns.values():
            columns[field] = found
    if "id" in columns and not _mostly_distinct(raw.cells(columns["id"])):
        del columns["id"]
    rules = _guess_labels(raw, by_name, columns)
    return Mapping(columns=columns, rules=rules)


def _mostly_distinct(cells: list[Any]) -> bool:
    there = [str(c) for c in cells if c is not None]
    return len(set(there)) >= DISTINCT * len(cells)


def _guess_labels(raw: RawTable, by_name: dict[str, str], columns: dict[str, str]) -> tuple[str, ...]:
    """Give a label column to the flags or types that its values speak of; `is_safe` needs two rules."""
    label = next((by_name[n] for n in LABELS if n in by_name), None)
    if label is not None:
        values = {w.lower() for cell in raw.cells(label) for w in words(cell)}
        if values & {b.lower() for b in BEHAVIOURS}:
            columns.setdefault("behaviour", label)
        if values & KNOWN["harmful_response"].keys() - {"0", "1"}:  # a bare 0/1 may mean anything
            columns.setdefault("harmful_response" if "response" in columns else "harmful_request", label)
        if any("refus" in v for v in values):
            columns.setdefault("refusal", label)
    if "is_safe" in by_name and "harmful_response" not in columns:
        columns["harmful_response"] = by_name["is_safe"]
        return ("harmful_response:[Ff]alse=yes", "harmful_response:[Tt]rue=no")
    return ()


def check_mapping(raw: RawTable, mapping: Mapping) -> None:
    """Refuse unknown fields, columns that are not there, and a mapping without any text."""
    for field, column in mapping.columns.items():
        if field not in FIELDS:
            raise BadInput(f"{field!r} is no field of a pool; {near(field, FIELDS)}")
        need_column(raw, column)
    for text in mapping.rules:
        rule = parse_rule(text)
        if rule.column is not None:
            need_column(raw, rule.column)
    if len(raw.frame.columns) and not any(side in mapping.columns for side in TEXTS):
        found = ", ".join(str(c) for c in raw.frame.columns)
        raise BadInput(
            f"no column is mapped to prompt, response or rejected; map one of {found} (--map prompt=COLUMN)"
        )


def need_column(raw: RawTable, column: str) -> None:
    """BadInput unless the source has `column`."""
    names = [str(c) for c in raw.frame.columns]
    if column not in names:
        raise BadInput(f"the source has no column {column!r}; {near(column, names)}")


def near(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
