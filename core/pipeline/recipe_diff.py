"""What two recipes ask for differently, field by field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import BadInput, UnknownName
from core.selection import STRATEGIES
from core.values import Recipe, settings

LISTS = ("pins", "bans")
SHOWN = 5  # row ids written out


@dataclass(frozen=True)
class Change:
    """One field of which two recipes say different things."""

    field: str  # dotted, e.g. "params.weights.saps"
    left: Any  # None = not there
    right: Any


def diff(a: Recipe, b: Recipe) -> list[Change]:
    """Every field that differs, in the recipes' order; pins and bans as counts with the ids of one side only.

    Settings of the same strategy are compared with their defaults filled in: leaving a default out is no
    difference. Where the strategies differ, the settings given by hand are listed.
    """
    same = a.strategy == b.strategy
    left, right = _fields(a, same), _fields(b, same)
    changes = []
    for name in dict.fromkeys([*left, *right]):
        ours, theirs = left.get(name), right.get(name)
        if ours == theirs:
            continue
        if name in LISTS:
            ours, theirs = _listed(ours or [], theirs or []), _listed(theirs or [], ours or [])
        changes.append(Change(name, ours, theirs))
    return changes


def _fields(recipe: Recipe, filled: bool) -> dict[str, Any]:
    plain = recipe.model_dump(mode="json")
    return _flat(plain | {"params": _filled(recipe) if filled else plain["params"]})


def _filled(recipe: Recipe) -> dict[str, Any]:
    """The settings with defaults; as they were given where this version of Winnow cannot read them."""
    try:
        spec = STRATEGIES[recipe.strategy]
        return settings(spec.params, recipe.params, recipe.strategy).model_dump(mode="json")
    except (BadInput, UnknownName):
        return dict(recipe.params)


def _flat(value: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables as dotted names."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= _flat(inner, f"{above}{name}.") if isinstance(inner, dict) else {f"{above}{name}": inner}
    return found


def _listed(ids: Sequence[str], other: Sequence[str]) -> str:
    """How many rows, and those that the other list lacks; all of them where only the order differs."""
    told = [row_id for row_id in ids if row_id not in set(other)] or (
        list(ids) if set(ids) == set(other) else []
    )
    more = f" and {len(told) - SHOWN:,} more" if len(told) > SHOWN else ""
    named = f": {', '.join(told[:SHOWN])}{more}" if told else ""
    return f"{len(ids):,} rows{named}" if len(ids) != 1 else f"1 row{named}"
