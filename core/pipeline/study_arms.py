"""The cells of a study, and its arms: cells that differ by their seed only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from core.pipeline.runs import Run
from core.values import Budget, RepairSpec

FULL = "all rows"


@dataclass(frozen=True)
class Cell:
    """One run of the grid: what it asks, and the finished run that answers it, if there is one."""

    label: str
    strategy: str  # its label; FULL for the full-data run
    budget: Budget
    method: str  # its label
    seed: int
    full: bool
    spec: RepairSpec
    run: Run | None
    rows: int  # meant; the run tells what a strategy really took
    work: float  # forward passes of one row, by which cheap is told from dear


@dataclass(frozen=True)
class StudyArm:
    """Finished cells that differ by seed only, by rising seed."""

    strategy: str
    method: str
    budget: Budget
    full: bool
    cells: tuple[Cell, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs, one per seed."""
        return tuple(cell.run for cell in self.cells if cell.run is not None)

    @property
    def rows(self) -> int:
        """Rows trained on: the most common number, should seeds differ."""
        return Counter(run.manifest.budget for run in self.runs).most_common(1)[0][0]

    @property
    def untouched(self) -> int:
        """Runs that trained and yet kept the untouched model."""
        return sum(run.untouched for run in self.runs)

    @property
    def share(self) -> float:
        """Rows as a share of the eligible ones."""
        return float(np.mean([run.share for run in self.runs]))

    @property
    def label(self) -> str:
        """Strategy, budget and method as charts call it."""
        chosen = f"{FULL} ({self.rows:,})" if self.full else f"{self.strategy}, {self.rows:,} rows"
        return f"{self.method} · {chosen}"
