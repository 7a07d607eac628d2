"""What a training is made of: pairs, an objective, a scope, somebody who watches, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from core.lm.tokenise import Encoded
from core.values import Reporter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Pair:
    """One tokenised example: the text trained toward, and the one that must never be."""

    number: int  # its place among all examples of the run, validation included
    good: Encoded
    bad: Encoded
    good_mask: tuple[bool, ...] = ()  # per token of good.ids: penalised; () = none
    bad_mask: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Terms:
    """What a batch costs: the loss to go down, its parts for the chart, and the tokens looked at."""

    loss: torch.Tensor
    parts: dict[str, torch.Tensor]
    tokens: int


@dataclass(frozen=True)
class Choice:
    """Which block may move in this step (None: all weights), and why."""

    block: int | None = None
    sensitivity: tuple[float, ...] = ()
    tokens: int = 0


class Objective(Protocol):
    """What is minimised."""

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Compute, before training, what is needed of the untouched model."""

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """The loss of one batch, with its graph."""

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """One value per pair that has any, lower is better."""

    def skip(self, steps: int) -> None:
        """Draw what the first `steps` steps would have drawn: a resumed run goes on with the same numbers."""


class Scope(Protocol):
    """Which weights may move; a run uses one scope once."""

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Look, before training, at what is needed of the untouched model."""

    def movable(self) -> dict[str, torch.nn.Parameter]:
        """By name, every weight that any step of the run may move: those are kept, and restored."""

    def choose(self, pairs: Sequence[Pair]) -> Choice:
        """Let exactly the weights of this step's choice require gradients."""

    def close(self) -> None:
        """Leave a plain model behind: adapters are merged, every weight may require gradients again."""


class Watch(Protocol):
    """Looks at the model while it trains; moves nothing and draws from no generator of the run."""

    every: int  # steps from one look to the next; 0 = only when asked

    def look(self, step: int) -> Mapping[str, Any]:
        """What a small fixed panel shows at this step, recorded as {"step": step, "panel": ...}."""

    def keep(self, step: int) -> str:
        """Write the model as it is now; where, as a sentence for the metrics."""


@dataclass
class Trained:
    """What the loop did; the model holds the best weights."""

    steps: int = 0
    best_step: int = 0
    best: float = math.nan
    stopped_early: str = ""  # why, as a sentence; empty = all steps were done
    interrupted: bool = False  # by the user: with the same settings and no stop, other weights would come out
    seconds: float = 0.0  # of training, over all its parts; the watch's are not among them
    tokens: int = 0
    peak_bytes: int = 0
    losses: list[float] = field(default_factory=list)  # one per step
    validations: list[tuple[int, float]] = field(default_factory=list)  # (step, value)
    block_counts: dict[int, int] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)  # loss parts of the last step
    resumed: tuple[int, ...] = ()  # steps at which it was taken up again after something had ended it
