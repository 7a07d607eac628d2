"""Draw the settings form of any plugin from its Params fields, so that a new plugin needs no UI code."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types as at
import streamlit as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.errors import BadInput
from core.values import Params

P = TypeVar("P", bound=Params)


def params_form(kind: type[P], key: str, start: Mapping[str, Any] | None = None) -> P:
    """One widget per field; bounds, default and help are the field's own, `start` replaces some defaults.

    Raises BadInput with the field's name when what was typed does not fit.
    """
    values = {
        name: _widget(name, field, f"{key}.{name}", (start or {}).get(name, _default(field)))
        for name, field in kind.model_fields.items()
    }
    try:
        return kind(**values)
    except ValidationError as error:
        raise BadInput("; ".join(_sentence(e) for e in error.errors())) from error


def _sentence(problem: Any) -> str:
    where = ".".join(str(p) for p in problem["loc"]) or "settings"
    return f"{where}: {problem['msg']} (given: {problem['input']!r})"


def _default(field: FieldInfo) -> Any:
    default = field.get_default(call_default_factory=True)
    return None if default is PydanticUndefined else default


def _widget(name: str, field: FieldInfo, key: str, default: Any) -> Any:
    kind, optional = _kind(field.annotation)
    common: dict[str, Any] = {"key": key, "help": field.description, "persist_state": "session"}
    label = name.replace("_", " ")
    if get_origin(kind) is Literal:
        options = [*get_args(kind), *([None] if optional else [])]
        start = options.index(default) if default in options else 0
        return st.selectbox(
            label, options, index=start, format_func=lambda o: "none" if o is None else str(o), **common
        )
    if kind is bool:
        return st.toggle(label, value=bool(default), **common)
    if kind in (int, float):
        return _number(label, kind, default, field, optional=optional, common=common)
    if kind is str:
        typed = st.text_input(label, value=default or "", **common)
        return (typed or None) if optional else typed
    return _other(label, default, common)


def _number(
    label: str, kind: Any, default: Any, field: FieldInfo, *, optional: bool, common: dict[str, Any]
) -> Any:
    """A number box within the field's bounds; an optional number may be left empty."""
    low, high = _bound(field, ("ge", "gt")), _bound(field, ("le", "lt"))
    cast: Any = int if kind is int else float
    start = None if default is None and optional else cast(default if default is not None else low or 0)
    bounds: Any = {"min_value": low, "max_value": high}
    bounds = {name: None if value is None else cast(value) for name, value in bounds.items()}
    if kind is float and low is not None and high is not None and high - low <= 1 and start is not None:
        return st.slider(label, value=start, step=0.01, **bounds, **common)
    if kind is int:
        bounds |= {"step": 1}
    else:
        bounds |= {"step": _step(default), "format": "%g"}
    return st.number_input(
        label, value=start, placeholder="automatic" if optional else None, **bounds, **common
    )


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


def _other(label: str, default: Any, common: dict[str, Any]) -> Any:
    """Lists and tables are typed as json."""
    typed = st.text_input(f"{label} (json)", value=json.dumps(default), **common)
    try:
        return json.loads(typed)
    except ValueError as error:
        raise BadInput(
            f"{label}: {typed!r} is not json ({error}); write e.g. {json.dumps(default)}"
        ) from error
