"""A pool of examples, and one example as the text a repair trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.values.base import TEMPLATES, Rows


@dataclass(frozen=True)
class Pool:
    """A table of examples, one row each, in a fixed order.

    `frame` has the columns id, prompt, response, rejected (str, "" = none), category (list of str), the three
    flags (one of FLAG_VALUES), group, source, and three derived ones: behaviour ("T1".."T4", "unparsed" or
    "not_run"), blocked (bool: no text of this row may be trained toward) and split (one of SPLITS).
    """

    name: str
    frame: pd.DataFrame
    fingerprint: str  # sha256 of the normalised columns in row order
    split_hash: str  # sha256 of (fingerprint, split seed, fractions): evaluation names it

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> list[str]:
        """The row ids, in row order."""
        return [str(i) for i in self.frame["id"]]

    def texts(self, template: str = "prompt+response") -> list[str]:
        """One string per row; a row without a response uses `rejected` in its place.

        "difference" has no single text and is made from the vectors of `response` and `rejected` instead.
        """
        prompt = self.frame["prompt"].astype(object)
        answer = (
            self.frame["response"].where(self.frame["response"] != "", self.frame["rejected"]).astype(object)
        )
        if template == "prompt":
            return [str(t) for t in prompt]
        if template == "response":
            return [str(t) for t in answer]
        if template == "prompt+response":
            return [f"{p} {a}".strip() for p, a in zip(prompt, answer, strict=True)]
        raise ValueError(f"text template {template!r} has no single text; use one of {TEMPLATES[:3]}")

    def column(self, name: str) -> NDArray[np.str_]:
        """One text column as a numpy array of str objects, (n,)."""
        return self.frame[name].to_numpy(dtype=object)

    def rows(self, *splits: str) -> Rows:
        """Row numbers in the named splits, ascending."""
        return np.flatnonzero(self.frame["split"].isin(splits).to_numpy())

    def categories(self) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
        """Category names in order of first appearance, and the (n, C) membership matrix."""
        names: dict[str, int] = {}
        for row in self.frame["category"]:
            for name in row:
                names.setdefault(name, len(names))
        member = np.zeros((len(self), len(names)), dtype=bool)
        for i, row in enumerate(self.frame["category"]):
            for name in row:
                member[i, names[name]] = True
        return tuple(names), member


@dataclass(frozen=True)
class Example:
    """One training example as text; which sides are present depends on the method's needs."""

    id: str
    prompt: str
    response: str
    rejected: str


def examples(pool: Pool, rows: Sequence[int] | Rows) -> list[Example]:
    """The rows as training examples; `rejected` text must never be trained toward."""
    part = pool.frame.iloc[np.asarray(rows, dtype=np.int64)]
    return [
        Example(str(i), str(p), str(a), str(b))
        for i, p, a, b in zip(part["id"], part["prompt"], part["response"], part["rejected"], strict=True)
    ]
