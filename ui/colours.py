"""Which colour a row has, and what the colour means: classes with fixed colours, or a score on a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.values import BEHAVIOURS, Rows
from ui import theme

NONE, OTHER, NOISE = "none", "other", "unclustered"
BEHAVIOUR_WORDS = {
    "T1": "T1 harmful, refused",
    "T2": "T2 harmful, answered",
    "T3": "T3 harmless, answered",
    "T4": "T4 harmless, refused",
}


@dataclass(frozen=True)
class Colouring:
    """One colour per row: discrete classes (codes index names and colours), or values on a scale."""

    title: str
    names: tuple[str, ...]
    colours: tuple[str, ...]
    codes: NDArray[np.int8]  # (n,)
    values: NDArray[np.float32] | None = None  # (n,) in 0..1, instead of the codes

    def counts(self, rows: Rows) -> NDArray[np.int64]:
        """How many of `rows` are in each class, (classes,)."""
        return np.bincount(self.codes[rows], minlength=len(self.names)).astype(np.int64)


def by_category(names: Sequence[str], member: NDArray[np.bool_]) -> Colouring:
    """A row's first category; the 8 most common of the whole pool have a colour, the same on every page."""
    sizes = member.sum(axis=0)
    order = sorted(range(len(names)), key=lambda c: (-sizes[c], names[c]))
    first = np.where(member.any(axis=1), member.argmax(axis=1) if len(names) else 0, -1)
    return _classes("Category", [names[c] for c in order], _renumber(first, order), rest=NONE)


def by_cluster(labels: NDArray[np.integer], words: dict[int, str]) -> Colouring:
    """The 8 largest clusters have a colour; -1 is unclustered. `words` names a cluster for the legend."""
    found, sizes = np.unique(labels[labels >= 0], return_counts=True)
    order = [int(found[i]) for i in np.argsort(-sizes, kind="stable")]
    titles = [f"{c} {words.get(c, '')}".strip() for c in order]
    return _classes("Cluster", titles, _renumber(labels, order), rest=NOISE)


def by_behaviour(behaviour: NDArray[np.str_]) -> Colouring:
    """T1..T4 in fixed colours; rows not labelled are grey."""
    place = {name: i for i, name in enumerate(BEHAVIOURS)}
    codes = np.array([place.get(str(b), -1) for b in behaviour])
    return _classes("Behaviour", [BEHAVIOUR_WORDS[b] for b in BEHAVIOURS], codes, rest="not labelled")


def by_chosen(n: int, chosen: Rows) -> Colouring:
    """Chosen rows in the accent, the others grey."""
    codes = np.ones(n, dtype=np.int8)
    codes[chosen] = 0
    return Colouring(
        "Selected", ("selected", "not selected"), (theme.grey("accent"), theme.grey("none")), codes
    )


def by_value(title: str, values: NDArray[np.floating]) -> Colouring:
    """A score between 0 and 1; the five equal bins serve as legend, missing values are grey."""
    bins = np.clip((np.nan_to_num(values, nan=-1.0) * 5).astype(int), -1, 4)
    bins = np.where(np.isnan(values), 5, np.maximum(bins, 0))
    names = (*(f"{i / 5:.1f} to {(i + 1) / 5:.1f}" for i in range(5)), "not scored")
    scale = theme.TOXICITY
    colours = (*(scale[i] for i in (0, 1, 2, 4, 5)), theme.grey("none"))
    return Colouring(title, names, colours, bins.astype(np.int8), values.astype(np.float32))


def _renumber(codes: NDArray[np.integer], order: Sequence[int]) -> NDArray[np.integer]:
    """Each code replaced by its place in `order`; -1 stays."""
    place = np.full(max([*order, 0]) + 2, -1)
    place[list(order)] = range(len(order))
    renumbered: NDArray[np.integer] = place[codes]
    return renumbered


def _classes(title: str, names: Sequence[str], codes: NDArray[np.integer], rest: str) -> Colouring:
    """The first 8 names coloured, later ones put together as "other", -1 shown as `rest`."""
    top = min(len(names), len(theme.PALETTE))
    shown, colours = list(names[:top]), list(theme.PALETTE[:top])
    if len(names) > top:
        shown.append(f"{OTHER} ({len(names) - top})")
        colours.append(theme.grey("other"))
    final = np.where(codes < 0, len(shown), np.minimum(codes, max(len(shown) - 1, 0)))
    return Colouring(title, (*shown, rest), (*colours, theme.grey("none")), final.astype(np.int8))
