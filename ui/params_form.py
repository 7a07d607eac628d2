"""Draw the settings form of any plugin from its fields, so that a new plugin needs no UI code."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types as at
import streamlit as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.errors import BadInput
from core.values import Asked
from ui import state, table_form
from ui.table_form import Labels

P = TypeVar("P", bound=Asked)

FIRST = 6  # settings in sight; the others wait in an expander
SPAN = 2  # a number within so narrow bounds is a slider
STEP = 0.01  # of that slider


def params_form(
    kind: type[P],
    key: str,
    start: Mapping[str, Any] | None = None,
    *,
    labels: Labels | None = None,
    first: int | None = None,
) -> P:
    """One widget per field; bounds, default and help are the field's own, `start` replaces some defaults.

    `labels` names the rows of tables that count by label. Of more than `first` fields those that come first
    stand in sight, the others in expanders, one for each class that brings fields along. Raises BadInput with
    the field's name when what was typed does not fit.
    """
    values: dict[str, Any] = {}

    def draw(names: Sequence[str]) -> None:
        for name in names:
            values[name] = _widget(name, kind.model_fields[name], key, start, labels, values)

    basic, *others = _groups(kind, first)
    draw(basic[1])
    for title, names in others:
        with st.expander(title, key=f"{key}:{title}"):
            draw(names)
    try:
        return kind(**{name: values[name] for name in kind.model_fields})
    except ValidationError as error:
        raise BadInput("; ".join(_sentence(e) for e in error.errors())) from error


def _groups(kind: type[Asked], first: int | None) -> list[tuple[str, list[str]]]:
    """(title, field names) of each part of a form, the first of them in sight."""
    names = list(kind.model_fields)
    if first is None or len(names) <= first + 1:
        return [("", names)]
    groups: dict[type, list[str]] = {}
    for name in names:
        owner = next(base for base in kind.__mro__ if name in inspect.get_annotations(base))
        groups.setdefault(owner, []).append(name)
    if len(groups) == 1:
        return [("", names[:first]), (f"{len(names) - first} more settings", names[first:])]
    return [(_humanised(owner), part) for owner, part in groups.items()]


def _humanised(owner: type) -> str:
    """The name of a class of settings as a title: TypeWorths is "Type worths"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", owner.__name__.removesuffix("Params"))
    return words if words.isupper() else words[:1] + words[1:].lower()


def fill(kind: type[Asked], key: str, values: Mapping[str, Any]) -> None:
    """Set the widgets of the form to `values`, one for each field; for callbacks, before they are drawn."""
    for name, field in kind.model_fields.items():
        place, value, of = f"{key}.{name}", values[name], _meant(field)
        if of in table_form.FORMS:
            table_form.FORMS[of].fill(_table_key(place, field, values), value)
        else:
            st.session_state[place] = json.dumps(value) if _typed_as_json(field) else value


def _sentence(problem: Any) -> str:
    where = ".".join(str(p) for p in problem["loc"]) or "settings"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" + (f" (given: {problem['input']!r})" if problem["loc"] else "")


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True)
    return None if default is PydanticUndefined else default


def _meant(field: FieldInfo) -> str:
    """What a field's text or table speaks of: "score", "weights", "table", or nothing special."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, _ = _kind(field.annotation)
    if get_origin(kind) is dict:
        return "weights" if extra.get("registry") == "score" else "table"
    return "score" if kind is str and extra.get("registry") == "score" else ""


def _widget(
    name: str,
    field: FieldInfo,
    form: str,
    start: Mapping[str, Any] | None,
    labels: Labels | None,
    drawn: Mapping[str, Any],
) -> Any:
    """The field's value from its widget; `drawn` are the values of the fields before it."""
    (kind, optional), of, key = _kind(field.annotation), _meant(field), f"{form}.{name}"
    default = (start or {}).get(name, _default(field))
    label = name.replace("_", " ")
    if of in table_form.FORMS:
        rows = (labels or {}).get(_counted(field, drawn), ())
        place = _table_key(key, field, drawn)
        return table_form.FORMS[of].draw(label, place, default, field.description or "", rows)
    state.seed(key, json.dumps(default) if _typed_as_json(field) else default)
    common: dict[str, Any] = {"key": key, "help": field.description, "persist_state": "session"}
    if of == "score":
        return _choice(label, table_form.scores(), optional, common, table_form.score_title)
    if get_origin(kind) is Literal:
        return _choice(label, get_args(kind), optional, common, str)
    if kind is bool:
        return st.toggle(label, **common)
    if kind in (int, float):
        return _number(label, kind, default, field, optional=optional, common=common)
    typed = st.text_input(label if kind is str else f"{label} (json)", **common)
    if kind is str:
        return (typed or None) if optional else typed
    return _parsed(label, typed, default)


def _counted(field: FieldInfo, values: Mapping[str, Any]) -> str:
    """What a table counts by: named in the field, or by the value of the field that it names."""
    extra: Any = field.json_schema_extra or {}
    by = str(extra.get("table", ""))
    return str(values.get(by, by))


def _table_key(key: str, field: FieldInfo, values: Mapping[str, Any]) -> str:
    """Rows of categories are no rows of clusters: each kind of label has a table of its own."""
    counted = _counted(field, values)
    return f"{key}.{counted}" if counted else key


def _choice(label: str, options: Sequence[Any], optional: bool, common: dict[str, Any], words: Any) -> Any:
    """One of the options, or none; what a recipe brought along stays in sight even where it is unknown."""
    every = [*options, *([None] if optional else [])]
    held = st.session_state[common["key"]]
    every += [] if held in every else [held]
    return st.selectbox(label, every, format_func=lambda o: "none" if o is None else words(o), **common)


def _number(
    label: str, kind: Any, default: Any, field: FieldInfo, *, optional: bool, common: dict[str, Any]
) -> Any:
    """A number box within the field's bounds; an optional number may be left empty."""
    low, high = _bound(field, ("ge", "gt")), _bound(field, ("le", "lt"))
    cast: Any = int if kind is int else float
    bounds: Any = {"min_value": low, "max_value": high}
    bounds = {name: None if value is None else cast(value) for name, value in bounds.items()}
    narrow = low is not None and high is not None and high - low <= SPAN
    if kind is float and not optional and narrow and all(map(_in_steps, (default, _default(field)))):
        _plain(common["key"], float)
        return st.slider(label, step=STEP, **bounds, **common)
    if kind is int:
        bounds |= {"step": 1}
    else:
        bounds |= {"step": _step(default), "format": "%g"}
    if optional:
        return st.number_input(label, value=None, placeholder="automatic", **bounds, **common)
    _plain(common["key"], cast, low)
    return st.number_input(label, **bounds, **common)


def _plain(key: str, cast: Any, low: Any = None) -> None:
    """A widget takes no 0 for 0.0, and no number for none."""
    held = st.session_state[key]
    if type(held) is not cast:
        st.session_state[key] = cast(held if held is not None else low or 0)


def _in_steps(value: Any) -> bool:
    """Whether a slider can show it: a learning rate of 1e-5 would stand there as 0.00."""
    return value is None or abs(value / STEP - round(value / STEP)) < 1e-6  # noqa: PLR2004 - rounding


def _step(default: Any) -> float:
    """A click moves a number by about a tenth of its default."""
    return float(f"{abs(float(default or 1)) / 10:.0e}")


def _bound(field: FieldInfo, names: tuple[str, ...]) -> Any:
    kinds = (at.Ge, at.Gt, at.Le, at.Lt)
    found = [getattr(m, n) for m in field.metadata if isinstance(m, kinds) for n in names if hasattr(m, n)]
    return found[0] if found else None


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type without `| None`, and whether None is allowed."""
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [a for a in get_args(annotation) if a is not type(None)]
        return (rest[0] if len(rest) == 1 else Any), len(rest) < len(get_args(annotation))
    return annotation, False


def _typed_as_json(field: FieldInfo) -> bool:
    """Lists and whatever else has no widget of its own."""
    kind, _ = _kind(field.annotation)
    return not (kind in (bool, int, float, str) or get_origin(kind) in (Literal, dict))


def _parsed(label: str, typed: str, default: Any) -> Any:
    try:
        return json.loads(typed)
    except ValueError as error:
        raise BadInput(
            f"{label}: {typed!r} is not json ({error}); write e.g. {json.dumps(default)}"
        ) from error
