"""What a text encoder is, and the registry of encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.registry import Registry
from core.values import Params


class Encoder(Protocol):
    """An opened encoder: weights in memory, on its device."""

    @property
    def dim(self) -> int:
        """Length of one vector."""

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(b, d) float32, rows of unit length; each text is cut to the model's own maximal length."""


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder as the registry knows it: nothing is loaded until `open` is called."""

    title: str
    source: str
    params: type[Params]
    open: Callable[[Any, str], Encoder]  # (params, device)
    identity: Callable[[Any], str]  # params -> what names the weights, without loading them


ENCODERS: Registry[EncoderSpec] = Registry("encoder", "core.embedding.encoders")


def encoder(
    *, title: str, source: str, identity: Callable[[Any], str]
) -> Callable[[Callable[[Any, str], Encoder]], Callable[[Any, str], Encoder]]:
    """Register the function below, which opens the encoder, under the name of its file."""

    def register(function: Callable[[Any, str], Encoder]) -> Callable[[Any, str], Encoder]:
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
