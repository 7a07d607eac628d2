"""What a labeller is given, and what it promises back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenContract
from core.registry import Registry
from core.values import FLAG_VALUES, FLAGS, Params, Pool, Reporter, Silent

Labels = dict[str, NDArray[np.object_]]  # flag -> (n,) of FLAG_VALUES


class Labeller(Protocol):
    """Judges every row of a pool; a row it cannot judge is "not_run" or "unparsed", never a guess."""

    def __call__(self, pool: Pool, params: Any, reporter: Reporter) -> Labels: ...


@dataclass(frozen=True)
class LabellerSpec:
    """A labeller as the registry knows it."""

    title: str
    source: str
    flags: tuple[str, ...]  # which flags it gives
    weak: str  # what the reader must know where its labels are shown; "" = nothing
    params: type[Params]
    run: Labeller


LABELLERS: Registry[LabellerSpec] = Registry("labeller", "core.labelling.labellers")


def labeller(
    *, title: str, source: str, flags: tuple[str, ...], weak: str = ""
) -> Callable[[Labeller], Labeller]:
    """Register the function below as the labeller named after its file."""

    def register(run: Labeller) -> Labeller:
        params = get_type_hints(run)["params"]
        LABELLERS.add(run.__module__, LabellerSpec(title, source, flags, weak, params, run))
        return run

    return register


def label(
    labeller: str,
    pool: Pool,
    params: Params | Mapping[str, Any] | None = None,
    reporter: Reporter = Silent(),
) -> Labels:
    """Flag -> (n,) values, one per row of the pool."""
    spec = LABELLERS[labeller]
    settings = params if isinstance(params, Params) else spec.params(**(params or {}))
    found = spec.run(pool, settings, reporter)
    for flag, values in found.items():
        if flag not in FLAGS or values.shape != (len(pool),) or not set(values) <= set(FLAG_VALUES):
            raise BrokenContract(
                f"{labeller} must give {len(pool)} of {FLAG_VALUES} per flag, got {flag}: {values!r}"
            )
    return found
