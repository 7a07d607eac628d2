"""The one training loop of all repairs: batches, warm-up, clipped RMSprop steps, validation, early stopping.

After Lee et al.'s loop (github.com/ajyl/dpo_toxic, arXiv:2401.01967), which IRepair's numbers come from
(repair-and-evaluation A4): warm-up then constant rate, clip 10, one validation each 25 steps, patience 30.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.errors import Stopped
from core.lm.load import LanguageModel
from core.lm.tokenise import Encoded
from core.training.checkpoints import Weights, restore, snapshot
from core.training.schedule import EarlyStopping, TrainingParams, batches, rate, total_steps
from core.values import Reporter
from core.workspace.signals import peak_bytes as resident_bytes

if TYPE_CHECKING:
    import torch

WHAT = "steps of repair"
EVALUATED_AT_ONCE = 16  # pairs; the value does not depend on it


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
    seconds: float = 0.0
    tokens: int = 0
    peak_bytes: int = 0
    losses: list[float] = field(default_factory=list)  # one per step
    validations: list[tuple[int, float]] = field(default_factory=list)  # (step, value)
    block_counts: dict[int, int] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)  # loss parts of the last step


def optimizer(model: Any, lr: float) -> torch.optim.Optimizer:
    """RMSprop as torch has it (alpha 0.99): the first step moves every weight by 10 * lr (F-3).

    Weights whose gradient is None are not touched and get no state. A zero would not do: it still shrinks
    RMSprop's state, and with Adam it even moves the weight.
    """
    import torch

    return torch.optim.RMSprop(model.parameters(), lr=lr, alpha=0.99)


def train(
    lm: LanguageModel,
    objective: Objective,
    scope: Scope,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    *,
    params: TrainingParams,
    seed: int,
    before: Weights,
    reporter: Reporter,
) -> Trained:
    """Train `lm.model` in place; at the end it holds the weights of the best validation.

    `before` are the weights at the start: they win if no validation is better than the first one, which is
    made before the first step. Without held-out pairs the last weights stay. A loss that is not finite ends
    the run before it touches a weight.
    """
    run = _Run(lm, objective, scope, held_out, params, before, reporter)
    forget_peak(lm.device)
    began = time.perf_counter()
    with precision(lm.device, params):
        objective.prepare([*pairs, *held_out], reporter)
        scope.prepare(pairs, reporter)
    total = total_steps(len(pairs), params)
    run.validate(0)
    for rows in batches(len(pairs), params.batch, np.random.default_rng([seed, 0])):
        if run.done.steps >= total or run.interrupted(total):
            break
        if not run.step([pairs[r] for r in rows], rate(run.done.steps, total, params)):
            break
        last = run.done.steps == total
        if (last or run.done.steps % params.validate_every == 0) and run.validate(run.done.steps):
            break
    run.finish()
    run.done.seconds = time.perf_counter() - began
    return run.done


class _Run:
    """One training run under way."""

    def __init__(
        self,
        lm: LanguageModel,
        objective: Objective,
        scope: Scope,
        held_out: Sequence[Pair],
        params: TrainingParams,
        before: Weights,
        reporter: Reporter,
    ) -> None:
        self.lm, self.objective, self.scope = lm, objective, scope
        self.held_out, self.params, self.reporter = held_out, params, reporter
        self.optimizer = optimizer(lm.model, params.lr)
        self.stopping = EarlyStopping(params.patience)
        self.movable = scope.movable()
        self.best: Weights = snapshot(self.movable, before)
        self.done = Trained()
        self.last_validation = 0

    def interrupted(self, total: int) -> bool:
        """Tell how far the run is; whether the user asked it to stop."""
        asked = self.reporter.stopping()
        if not asked:
            try:
                self.reporter.progress(self.done.steps, total, WHAT)
            except Stopped:  # asked between the two lines: just as clean, the best weights are kept
                asked = True
        if asked:
            self.done.interrupted = True
            self.done.stopped_early = (
                f"stopped by the user after step {self.done.steps}; the best weights are kept"
            )
        return asked

    def step(self, pairs: Sequence[Pair], lr: float) -> bool:
        """Choose, go backward, clip, move; False, with no weight touched, if something is not finite."""
        import torch

        began = time.perf_counter()
        with precision(self.lm.device, self.params):
            choice = self.scope.choose(pairs)
            terms = self.objective.loss(pairs)
        terms.loss.backward()  # type: ignore[no-untyped-call]
        moving = [w for w in self.lm.model.parameters() if w.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(moving, self.params.clip)
        loss, grad_norm, *parts = torch.stack(
            [v.detach().float() for v in (terms.loss, norm, *terms.parts.values())]
        ).tolist()
        finite = all(math.isfinite(v) for v in (loss, grad_norm, *choice.sensitivity))
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._note(terms, choice, loss, dict(zip(terms.parts, parts, strict=True)), lr, grad_norm, began)
        if not finite:
            self.done.stopped_early = (
                f"the loss or its gradient was not finite at step {self.done.steps + 1}; the run stopped "
                "there and the best weights are kept: lower the learning rate, or look for broken texts"
            )
            return False
        self.done.steps += 1
        return True

    def _note(
        self,
        terms: Terms,
        choice: Choice,
        loss: float,
        parts: dict[str, float],
        lr: float,
        grad_norm: float,
        began: float,
    ) -> None:
        """Count and tell one step; values that are not finite are told as they are."""
        seconds, tokens, done = time.perf_counter() - began, terms.tokens + choice.tokens, self.done
        done.tokens += tokens
        done.losses.append(loss)
        done.final = parts
        done.peak_bytes = peak_bytes(self.lm.device)
        if choice.block is not None:
            done.block_counts[choice.block] = done.block_counts.get(choice.block, 0) + 1
        self.reporter.record(
            {
                "step": done.steps + 1,
                "loss": loss,
                "parts": parts,
                "lr": lr,
                "grad_norm": grad_norm,
                "block": choice.block,
                "sensitivity": list(choice.sensitivity),
                "tokens_per_second": tokens / seconds,
                "step_ms": 1000 * seconds,
                "peak_bytes": done.peak_bytes,
            }
        )

    def validate(self, step: int) -> bool:
        """Measure the held-out pairs, keep the weights if best; whether patience has run out."""
        import torch

        if not self.held_out:
            return False
        values = []
        with torch.inference_mode(), precision(self.lm.device, self.params):
            for at in range(0, len(self.held_out), EVALUATED_AT_ONCE):
                values.append(self.objective.validate(self.held_out[at : at + EVALUATED_AT_ONCE]))
        value = float(torch.cat(values).mean())
        self.done.validations.append((step, value))
        self.last_validation = step
        if self.stopping.better(value):
            self.done.best_step, self.done.best = step, value
            if step:
                self.best = snapshot(self.movable, self.best)
        self.reporter.record(
            {
                "step": step,
                "validation": value,
                "best": self.done.best,
                "best_step": self.done.best_step,
                "patience": self.stopping.since,
            }
        )
        if self.stopping.exhausted:
            self.done.stopped_early = (
                f"no better validation since step {self.done.best_step} ({self.params.patience} in a row)"
            )
        return self.stopping.exhausted

    def finish(self) -> None:
        """Put the best weights back; weights that no validation has seen yet are judged first."""
        if not self.held_out:
            self.done.best_step = self.done.steps
            return
        if self.done.steps > self.last_validation:
            reason = self.done.stopped_early
            self.validate(self.done.steps)
            self.done.stopped_early = reason or self.done.stopped_early
        restore(self.movable, self.best)


def precision(device: str, params: TrainingParams) -> AbstractContextManager[Any]:
    """Bfloat16 autocast on CUDA devices that have it, else nothing: on CPUs it brought no speed."""
    import torch

    if params.precision == "auto" and device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def forget_peak(device: str) -> None:
    """Begin a new peak on the CUDA device: what the process did before, such as sampling, is not training."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: str) -> int:
    """Peak memory: of the CUDA device since training began, else of this process so far."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    return resident_bytes()
