"""The reasons of many rows kept as columns, so that a hundred thousand of them cost arrays, not objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.selection.base import Picked
from core.values import Reason

Column = NDArray[Any]


class Reasons(Sequence[Reason]):
    """Reasons of m rows: a `Reason` is built when it is looked at.

    Every column is one value for all rows or an array (m,); shares are one column per weight. A negative bin
    or cluster stays as it is (-1 is noise); an empty role or category, or a NaN score, is none.
    """

    def __init__(
        self,
        m: int,
        role: str | ArrayLike,
        *,
        bin: ArrayLike | None = None,  # noqa: A002 - the name of the field
        cluster: ArrayLike | None = None,
        category: ArrayLike | None = None,
        score: ArrayLike | None = None,
        shares: Mapping[str, ArrayLike] | None = None,
        penalty: ArrayLike | None = None,
    ) -> None:
        self._m = m
        given = {"bin": bin, "cluster": cluster, "category": category, "score": score, "penalty": penalty}
        columns = {"role": role} | {name: values for name, values in given.items() if values is not None}
        self._columns = {name: np.broadcast_to(np.asarray(v), (m,)) for name, v in columns.items()}
        self._shares = {name: np.asarray(v, dtype=np.float64) for name, v in (shares or {}).items()}

    def __len__(self) -> int:
        return self._m

    @overload
    def __getitem__(self, place: int) -> Reason: ...
    @overload
    def __getitem__(self, place: slice) -> Reasons: ...
    def __getitem__(self, place: int | slice) -> Reason | Reasons:
        if isinstance(place, slice):
            return self.take(np.arange(self._m)[place])
        if not -self._m <= place < self._m:
            raise IndexError(place)
        return next(iter(self.take(np.array([place]))))

    def __iter__(self) -> Iterator[Reason]:
        names = [*self._columns]
        columns = [self._plain(name) for name in names]
        shares = [values.tolist() for values in self._shares.values()]
        for i in range(self._m):
            facts = {name: column[i] for name, column in zip(names, columns, strict=True)}
            parts = {name: column[i] for name, column in zip(self._shares, shares, strict=True)}
            yield Reason.model_construct(**facts, shares=parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(reason.role for reason in self))

    def take(self, places: NDArray[np.int64]) -> Reasons:
        """The reasons at these places."""
        columns = {name: values[places] for name, values in self._columns.items()}
        shares = {name: values[places] for name, values in self._shares.items()}
        return Reasons(len(places), columns.pop("role"), **columns, shares=shares)

    def _plain(self, name: str) -> list[Any]:
        values = self._columns[name]
        if name in ("score", "penalty"):
            return [None if v != v else v for v in values.astype(np.float64).tolist()]  # NaN is not itself
        listed: list[Any] = values.tolist()
        return [v or None for v in listed] if name == "category" else listed


def first_of(picked: Picked, count: int) -> Picked:
    """The first `count` rows of a choice, as a nested strategy would choose them alone.

    Its warnings speak of the end of the order, which is not reached, and are dropped.
    """
    trace = {name: values[: len(values) - len(picked.rows) + count] for name, values in picked.trace.items()}
    rows, reasons = picked.rows[:count], picked.reasons[:count]
    return replace(picked, rows=rows, reasons=reasons, shortfall=0, warnings=(), trace=trace)
