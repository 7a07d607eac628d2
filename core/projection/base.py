"""What a projection is given, and what it promises back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, BrokenContract
from core.registry import Registry
from core.values import Params, Reporter, Silent

Matrix = NDArray[np.float32]
CHUNK = 16_384  # rows looked at at once


class Projection(Protocol):
    """Maps (n, d) to (n, k); the same input and seed give the same output."""

    def __call__(self, vectors: Matrix, params: Any, seed: int, reporter: Reporter) -> Matrix: ...


@dataclass(frozen=True)
class ProjectionSpec:
    """A projection as the registry knows it."""

    title: str
    source: str
    params: type[Params]
    run: Projection
    version: int = 1  # raised when the code draws other positions from the same settings


METHODS: Registry[ProjectionSpec] = Registry("projection", "core.projection.methods")


def projection(*, title: str, source: str, version: int = 1) -> Callable[[Projection], Projection]:
    """Register the function below as the projection named after its file."""

    def register(run: Projection) -> Projection:
        kind = get_type_hints(run)["params"]
        METHODS.add(run.__module__, ProjectionSpec(title, source, kind, run, version))
        return run

    return register


def project(
    method: str,
    vectors: Matrix,
    params: Params | Mapping[str, Any] | None = None,
    seed: int = 0,
    reporter: Reporter = Silent(),
) -> Matrix:
    """(n, k) float32 positions of (n, d) vectors; k is `n_components`, or less where the method says so."""
    spec = METHODS[method]
    settings = params if isinstance(params, Params) else spec.params(**(params or {}))
    if vectors.ndim != 2 or len(vectors) == 0 or not _finite(vectors):  # noqa: PLR2004
        raise BadInput(
            f"projection needs a table of at least one row of finite numbers, found shape {vectors.shape}; "
            "embed the pool again"
        )
    found = spec.run(np.ascontiguousarray(vectors, dtype=np.float32), settings, seed, reporter)
    if len(found) != len(vectors) or not np.isfinite(found).all():
        raise BrokenContract(f"{method} must return {len(vectors)} finite rows, got shape {found.shape}")
    return found.astype(np.float32)


def _finite(vectors: Matrix) -> bool:
    """Whether all numbers are, looked at in parts: a mask of a million rows fills memory for nothing."""
    return all(np.isfinite(vectors[s : s + CHUNK]).all() for s in range(0, len(vectors), CHUNK))
