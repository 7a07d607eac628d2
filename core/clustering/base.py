"""What a clustering is given, and what it promises back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, BrokenContract
from core.registry import Registry
from core.values import Params, Reporter, Silent


@dataclass(frozen=True)
class Clusters:
    """Which cluster each row belongs to."""

    labels: NDArray[np.int64]  # (n,), 0..k-1; -1 is noise: the row belongs to no cluster
    membership: NDArray[np.float32]  # (n,) in [0, 1], higher is more surely a member; noise has 0
    k: int


class Clustering(Protocol):
    """Groups (n, d) vectors; the same input and seed give the same clusters."""

    def __call__(
        self, vectors: NDArray[np.float32], params: Any, seed: int, reporter: Reporter
    ) -> Clusters: ...


@dataclass(frozen=True)
class ClusteringSpec:
    """A clustering as the registry knows it."""

    title: str
    source: str
    params: type[Params]
    run: Clustering


METHODS: Registry[ClusteringSpec] = Registry("clustering", "core.clustering.methods")


def clustering(*, title: str, source: str) -> Callable[[Clustering], Clustering]:
    """Register the function below as the clustering named after its file."""

    def register(run: Clustering) -> Clustering:
        METHODS.add(run.__module__, ClusteringSpec(title, source, get_type_hints(run)["params"], run))
        return run

    return register


def cluster(
    method: str,
    vectors: NDArray[np.float32],
    params: Params | Mapping[str, Any] | None = None,
    seed: int = 0,
    reporter: Reporter = Silent(),
) -> Clusters:
    """Cluster (n, d) vectors; clusters are numbered from the largest (0) to the smallest."""
    spec = METHODS[method]
    settings = params if isinstance(params, Params) else spec.params(**(params or {}))
    if vectors.ndim != 2 or len(vectors) == 0 or not np.isfinite(vectors).all():  # noqa: PLR2004
        raise BadInput(
            f"clustering needs a table of at least one row of finite numbers, found shape {vectors.shape}; "
            "embed and project the pool again"
        )
    found = spec.run(np.ascontiguousarray(vectors, dtype=np.float32), settings, seed, reporter)
    if found.labels.shape != (len(vectors),) or found.labels.min() < -1:
        raise BrokenContract(f"{method} must label {len(vectors)} rows from -1 up, got {found.labels!r}")
    return _by_size(found)


def _by_size(found: Clusters) -> Clusters:
    """The same clusters, numbered by size (then by first row): numbers that mean something and repeat."""
    names, first, size = np.unique(found.labels, return_index=True, return_counts=True)
    real = names >= 0
    order = np.lexsort((first[real], -size[real]))
    number = np.full(found.labels.max() + 2, -1, dtype=np.int64)
    number[names[real][order]] = np.arange(len(order))
    labels = np.where(found.labels < 0, -1, number[found.labels])
    membership = np.where(labels < 0, 0.0, found.membership).astype(np.float32)
    return Clusters(labels, membership, len(order))
