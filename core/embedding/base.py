"""What a text encoder is, and the registry of encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.registry import Registry
from core.values import Params


class Encoder(Protocol):
    """An opened encoder: weights in memory, on its device."""

    @property
    def dim(self) -> int:
        """Length of one vector."""

    @property
    def budget(self) -> int:
        """Tokens, padding included, that one batch should hold."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it computes, for the record (precision...)."""

    def lengths(self, texts: list[str]) -> NDArray[np.int64]:
        """(b,) tokens that each text takes, cut to the model's own maximal length."""

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(b, d) float32, rows of unit length, in one batch."""


class EncoderParams(Params):
    """What every encoder lets one set."""

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number format of the weights: auto takes bfloat16 where the processor computes in it "
        "and a sample of the texts keeps its vectors (cosine 0.995 at least), else float32.",
    )


Open = Callable[[Any, str, list[str]], Encoder]  # (params, device, a sample of the texts)


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder as the registry knows it: nothing is loaded until `open` is called."""

    title: str
    source: str
    params: type[Params]
    open: Open
    identity: Callable[[Any], str]  # params -> what names the weights, without loading them


ENCODERS: Registry[EncoderSpec] = Registry("encoder", "core.embedding.encoders")


def encoder(*, title: str, source: str, identity: Callable[[Any], str]) -> Callable[[Open], Open]:
    """Register the function below, which opens the encoder, under the name of its file."""

    def register(function: Open) -> Open:
        params = get_type_hints(function)["params"]
        ENCODERS.add(function.__module__, EncoderSpec(title, source, params, function, identity))
        return function

    return register


def encoder_hash(name: str, params: Params | Mapping[str, Any] | None = None) -> str:
    """What names the encoder's weights in a signal's key; reads files at most, never loads torch."""
    spec = ENCODERS[name]
    return f"{name}:{spec.identity(read_params(spec, params))}"


def read_params(spec: EncoderSpec, params: Params | Mapping[str, Any] | None) -> Params:
    """The encoder's settings as its own class; missing ones take their defaults."""
    return params if isinstance(params, Params) else spec.params(**(params or {}))
