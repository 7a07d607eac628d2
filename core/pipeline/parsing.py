"""A json object that a person or a job gives, as the value it describes; a mistake in it is one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from core.errors import BadInput
from core.values import Frozen

EXTRA, MISSING = "extra_forbidden", "missing"  # pydantic's names of the two mistakes said in our words


def parse(kind: type[Frozen], spec: Mapping[str, Any], what: str, see: str = "--print-example") -> Any:
    """The value that a json file or job describes; what is wrong with it is told in one sentence."""
    try:
        return kind.model_validate(spec)
    except ValidationError as error:
        raise BadInput(f"{what} cannot be used: {_mistake(kind, error)}; see {see}") from error


def _mistake(kind: type[BaseModel], error: ValidationError) -> str:
    """The most telling of the mistakes: a misspelt field before what is missing for it, deep before flat."""
    first = max(error.errors(), key=lambda e: (e["type"] == EXTRA, len(e["loc"])))
    path, inside = _follow(kind, first["loc"])
    if first["type"] == EXTRA:
        known = list(dict.fromkeys(name for model in inside for name in model.model_fields))
        name = str(first["loc"][-1])
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"{path or 'it'} has no field {name!r}{hint}; its fields are {', '.join(known)}"
    if first["type"] == MISSING:
        return f"the field {path!r} is missing"
    said = first["msg"].removeprefix("Value error, ")
    return f"{path or 'the whole'}: {said[:1].lower()}{said[1:]}"


def _follow(kind: type[BaseModel], loc: Sequence[str | int]) -> tuple[str, list[type[BaseModel]]]:
    """The dotted path of a mistake, and the models whose field it would be.

    Pydantic's location also names the member of a union that was tried; no person wrote it: it is left out.
    """
    path: list[str] = []
    inside = [kind]
    for part in loc:
        tried = [model for model in inside if model.__name__ == part]
        holders = [model for model in inside if part in model.model_fields]
        if tried:
            inside = tried
        elif holders or isinstance(part, int):
            path.append(str(part))
            fields = [model.model_fields[str(part)].annotation for model in holders]
            inside = [model for annotation in fields for model in _models(annotation)]
    return ".".join(path), inside


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic classes that a field's type names, inside unions and tuples too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
