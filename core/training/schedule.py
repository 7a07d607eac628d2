"""When things happen in training: which rows in which step, at which rate, and when it is enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import numpy as np
from pydantic import Field

from core.values import Params, Rows

OptimizerName = Literal["rmsprop", "adamw"]


class TrainingParams(Params):
    """Settings of the loop; the defaults are IRepair's (repair-and-evaluation A4)."""

    lr: float = Field(
        1e-6, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    batch: int = Field(4, ge=1, description="Examples per step.")
    steps: int | None = Field(None, ge=0, description="Steps at most; empty = as many as the epochs make.")
    epochs: float = Field(2.0, gt=0, description="Passes over the examples (the paper's longest run: 1.9).")
    warmup: int = Field(150, ge=0, description="Steps in which the learning rate rises.")
    schedule: Literal["constant", "linear"] = Field(
        "constant", description="Learning rate after warm-up: constant, or falling to 0 at the last step."
    )
    optimizer: OptimizerName = Field(
        "rmsprop",
        description="rmsprop (the paper's) or adamw (TRL's). The first RMSprop step of a weight is ten times "
        "the rate, whatever its gradient: a block chosen late jumps, though the warm-up is long over. With "
        "AdamW it is once the rate.",
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Pulls weights that move toward 0: AdamW by this share of the rate in each step, RMSprop "
        "as part of the gradient.",
    )
    clip: float = Field(10.0, gt=0, description="Largest gradient norm.")
    validate_every: int = Field(25, ge=1, description="Steps from one validation to the next.")
    validation_size: int = Field(64, ge=0, description="Validation examples at most; 0 = never stop early.")
    patience: int = Field(30, ge=1, description="Validations without a better one before the run stops.")
    precision: Literal["auto", "float32"] = Field(
        "auto", description="auto computes in bfloat16 where a CUDA device has it; weights stay float32."
    )


class EarlyStopping:
    """Counts validations in a row that were not strictly better than the best one (F-16)."""

    def __init__(self, patience: int) -> None:
        self.patience, self.best, self.since = patience, math.inf, 0

    def better(self, value: float) -> bool:
        """Take the next value in; whether it is the best so far. NaN never is."""
        if value < self.best:
            self.best, self.since = value, 0
            return True
        self.since += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.since >= self.patience


def rate(step: int, total: int, params: TrainingParams) -> float:
    """Learning rate of step 0, 1, ...: linear warm-up as in Lee et al., then the schedule."""
    warm = min(1.0, (step + 1) / (params.warmup + 1))
    if params.schedule == "constant" or step < params.warmup:
        return params.lr * warm
    return params.lr * (total - step) / max(total - params.warmup, 1)


def batches(n: int, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Endless batches of row numbers: each epoch is a new permutation, its last batch may be smaller."""
    while True:
        order = rng.permutation(n)
        for at in range(0, n, size):
            yield order[at : at + size]


def total_steps(n: int, params: TrainingParams) -> int:
    """Steps of the whole run, if nothing stops it."""
    wanted = math.ceil(Fraction(str(params.epochs)) * math.ceil(n / params.batch))  # 1.1 * 10 is 11, not 12
    return wanted if params.steps is None else params.steps
