"""What the trade-off plane draws, as values: single runs, their means over seeds, and the two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from core.pipeline.study_numbers import FULL
from core.values import Measure


@dataclass(frozen=True)
class Dot:
    """One run in the plane, both numbers in percent (or points) of the base model's."""

    run: str
    label: str
    seed: int
    gain: Measure  # higher is better
    loss: Measure  # higher is worse

    @property
    def drawn(self) -> bool:
        """Whether it has a place."""
        return self.gain.value is not None and self.loss.value is not None


@dataclass(frozen=True)
class Mark:
    """Runs that differ by their seed only; their mean has one mark."""

    label: str
    strategy: str
    method: str
    rows: int
    full: bool
    mean: Dot
    dots: tuple[Dot, ...]

    @property
    def paint(self) -> str:
        """What gives it its colour."""
        return FULL if self.full else self.strategy


@dataclass(frozen=True)
class Axes:
    """What the two directions are, in words, with the unit of their numbers."""

    gain: str
    loss: str
    gain_unit: str = "%"
    loss_unit: str = "%"


def numbers(marks: Sequence[Mark], axes: Axes) -> pd.DataFrame:
    """Every plotted run with its bounds."""
    rows = []
    for mark in marks:
        for dot in mark.dots:
            row: dict[str, object] = {"arm": mark.label, "rows": mark.rows, "seed": dot.seed, "run": dot.run}
            for name, unit, m in (
                (axes.gain, axes.gain_unit, dot.gain),
                (axes.loss, axes.loss_unit, dot.loss),
            ):
                title = f"{name}, {unit}"
                row |= {title: m.value, f"{title} (low)": m.low, f"{title} (high)": m.high}
            rows.append(row)
    return pd.DataFrame(rows)
