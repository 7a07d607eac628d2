"""What every other value builds on: frozen pydantic bases, plugin settings, and how long work reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import BadInput

Rows = NDArray[np.int64]

FLAGS = ("harmful_request", "refusal", "harmful_response")
FLAG_VALUES = ("yes", "no", "unparsed", "not_run")
BEHAVIOURS = ("T1", "T2", "T3", "T4")  # behaviour-and-prism 2.2
SPLITS = ("train", "validation", "test")
Template = Literal["prompt+response", "prompt", "response", "difference"]
TEMPLATES: tuple[Template, ...] = get_args(Template)
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy, torch and scikit-learn all take


class Frozen(BaseModel):
    """Base of every value that crosses a process or the disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(Frozen):
    """Base of what a person asks for: every number is finite, every seed one that all generators take."""

    model_config = ConfigDict(allow_inf_nan=False)


class Params(Asked):
    """Base of every plugin's settings: forms and command lines are drawn from the fields."""


Settings = TypeVar("Settings", bound=Params)


def settings(kind: type[Settings], given: Mapping[str, Any] | Params | None, whose: str) -> Settings:
    """The plugin's settings from what the user gave, defaults for the rest; a bad one is a sentence."""
    if isinstance(given, kind):
        return given
    values = given.model_dump() if isinstance(given, Params) else dict(given or {})
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # a rule over several settings
            raise BadInput(f"{whose}: {first['msg'].removeprefix('Value error, ')}") from error
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        if field not in kind.model_fields:
            known = ", ".join(kind.model_fields) or "none"
            raise BadInput(f"{whose} has no setting {field!r}; its settings are: {known}") from error
        raise BadInput(
            f"{whose}: {field} = {values.get(field)!r} cannot be used ({first['msg'].lower()})"
        ) from error


class Reporter(Protocol):
    """How long work tells how far it is, and learns that it should stop."""

    def progress(self, done: int, total: int, what: str) -> None:
        """Say that `done` of `total` units of `what` are done; raises Stopped when a stop was asked for."""

    def record(self, row: Mapping[str, Any]) -> None:
        """Append one row of measurements (loss parts, chosen block...) to the run's metrics."""

    def stopping(self) -> bool:
        """Whether a clean stop was asked for; training loops look, finish the step and keep the best."""

    def asked(self, what: str) -> bool:
        """Whether `what` ("evaluate", "save") was asked for since the last look; looking takes it away."""


class Silent:
    """A Reporter that says nothing, never stops and asks nothing: the default for library use and tests."""

    def progress(self, done: int, total: int, what: str) -> None:
        """Do nothing."""

    def record(self, row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def stopping(self) -> bool:
        """Never stop."""
        return False

    def asked(self, what: str) -> bool:
        """Ask nothing."""
        return False
