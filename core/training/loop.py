"""The one training loop of all repairs: batches, warm-up, clipped steps, validation, early stopping.

After Lee et al.'s loop (github.com/ajyl/dpo_toxic, arXiv:2401.01967), which IRepair's numbers come from
(repair-and-evaluation A4): warm-up then constant rate, clip 10, one validation each 25 steps, patience 30.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from itertools import islice

import numpy as np

from core.errors import Stopped
from core.lm.load import LanguageModel
from core.training.checkpoints import Weights, restore, snapshot
from core.training.device import Meter, enough_memory, precision
from core.training.optimiser import Moved, move, optimizer
from core.training.parts import Choice, Objective, Pair, Scope, Trained, Watch
from core.training.resume import Checkpoint, Keeper, State
from core.training.schedule import EarlyStopping, TrainingParams, batches, rate, total_steps
from core.values import Reporter

__all__ = ["Checkpoint", "Objective", "Pair", "Scope", "Trained", "Watch", "optimizer", "train"]

WHAT = "steps of repair"
EVALUATED_AT_ONCE = 16  # pairs; the value does not depend on it
TEXTS = "response_tokens or prompt_tokens"


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
    watch: Watch | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train `lm.model` in place; at the end it holds the weights of the best validation.

    `before` are the weights at the start: they win if no validation is better than the first one, which is
    made before the first step. Without held-out pairs the last weights stay. A loss that is not finite ends
    the run before it touches a weight. `watch` looks at step 0, at every `watch.every` steps, when asked, and
    at the last weights. Its time is in no number: steps are timed inside, and the clock of `seconds` stands
    still while it looks.

    With a `checkpoint` a run that was killed, stopped by the user or ran out of memory goes on where the file
    says, and on a CPU ends with the bits of the uninterrupted one; a finished one is told at once. What is
    done a second time because it came after the last checkpoint is counted once. Raises OutOfMemory.
    """
    meter = Meter(lm.device)
    what = f"reading all {len(pairs) + len(held_out)} examples before training"
    with enough_memory(what, device=lm.device, lower=TEXTS, kept=checkpoint is not None):
        with precision(lm.device, params):
            objective.prepare([*pairs, *held_out], reporter)
            scope.prepare(pairs, reporter)
        run = _Run(lm, objective, scope, held_out, params, before, reporter, watch, checkpoint, meter)
    if not run.take_up():
        run.validate(0)
        run.look()
        run.save()
    if not run.over:
        run.steps(pairs, np.random.default_rng([seed, 0]))
    run.finish()
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
        watch: Watch | None,
        checkpoint: Checkpoint | None,
        meter: Meter,
    ) -> None:
        self.lm, self.objective, self.scope = lm, objective, scope
        self.held_out, self.params, self.reporter, self.watch = held_out, params, reporter, watch
        self.optimizer = optimizer(lm.model, params.lr, params.optimizer, params.weight_decay)
        self.stopping = EarlyStopping(params.patience)
        self.movable = scope.movable()
        self.best: Weights = snapshot(self.movable, before)
        self.meter = meter
        self.keeper = Keeper(checkpoint, self.movable, self.optimizer, self.best) if checkpoint else None
        self.done = Trained()
        self.validated, self.looked, self.over = 0, -1, False
        self.memory = partial(enough_memory, device=lm.device, kept=checkpoint is not None)

    def take_up(self) -> bool:
        """Go on where an earlier process was killed or stopped, if it left a checkpoint."""
        taken = self.keeper.take_up() if self.keeper else None
        if taken is None:
            return False
        state, self.best = taken
        self.done = state.done
        self.stopping.best, self.stopping.since = state.best, state.since
        self.validated, self.looked, self.over = state.validated, state.looked, state.over
        self.meter.go_on(self.done.seconds, self.done.peak_bytes)
        self.done.resumed = (*self.done.resumed, self.done.steps)
        self.reporter.record({"resumed": len(self.done.losses)})  # the row of a step that failed stands, too
        self.objective.skip(self.done.steps)
        return True

    def save(self) -> None:
        """Keep all of this moment on disk."""
        if self.keeper is None:
            return
        self.done.seconds = self.meter.seconds
        state = State(
            done=self.done,
            best=self.stopping.best,
            since=self.stopping.since,
            validated=self.validated,
            looked=self.looked,
            over=self.over,
        )
        self.keeper.write(state, self.best)

    def steps(self, pairs: Sequence[Pair], rng: np.random.Generator) -> None:
        """All steps that are left, unless something ends the run."""
        total, done = total_steps(len(pairs), self.params), self.done
        for rows in islice(batches(len(pairs), self.params.batch, rng), done.steps, None):
            if done.steps >= total or self.interrupted(total):
                return
            if not self.step([pairs[r] for r in rows], rate(done.steps, total, self.params)):
                return
            due = done.steps == total or done.steps % self.params.validate_every == 0
            if due and self.validate(done.steps):
                return
            self.attend()

    def interrupted(self, total: int) -> bool:
        """Tell how far the run is; whether the user asked it to stop."""
        asked = self.reporter.stopping()
        if not asked:
            try:
                self.reporter.progress(self.done.steps, total, WHAT)
            except Stopped:  # asked between the two lines: just as clean, the best weights are kept
                asked = True
        if asked:
            self.save()  # first: a run that goes on knows nothing of the stop
            self.done.interrupted = True
            said = f"stopped by the user after step {self.done.steps}; {self.kept}"
            self.done.stopped_early = said
        return asked

    @property
    def kept(self) -> str:
        """Which weights stay where the run ends before its time, as a sentence says it."""
        last = f"the weights after step {self.done.steps} are kept, which no validation judged"
        return "the best weights are kept" if self.held_out else last

    def step(self, pairs: Sequence[Pair], lr: float) -> bool:
        """Choose and move; False, with no weight touched, if something is not finite."""
        began = time.perf_counter()
        longest = max(len(text.ids) for pair in pairs for text in (pair.good, pair.bad))
        what = f"step {self.done.steps + 1} with {len(pairs)} examples of up to {longest} tokens"
        with self.memory(what, lower=f"batch, {TEXTS}"):
            with precision(self.lm.device, self.params):
                choice = self.scope.choose(pairs)
                terms = self.objective.loss(pairs)
            finite = all(map(math.isfinite, choice.sensitivity))
            moved = move(self.optimizer, terms, lr=lr, clip=self.params.clip, finite=finite)
        self._note(moved, choice, lr, terms.tokens + choice.tokens, time.perf_counter() - began)
        if not moved.finite:
            self.done.stopped_early = (
                f"the loss or its gradient was not finite at step {self.done.steps + 1}; the run stopped "
                f"there and {self.kept}: lower the learning rate, or look for broken texts"
            )
            return False
        self.done.steps += 1
        return True

    def _note(self, moved: Moved, choice: Choice, lr: float, tokens: int, seconds: float) -> None:
        """Count and tell one step; values that are not finite are told as they are."""
        done = self.done
        done.peak_bytes = self.meter.peak
        done.tokens += tokens
        done.losses.append(moved.loss)
        done.final = moved.parts
        if choice.block is not None:
            done.block_counts[choice.block] = done.block_counts.get(choice.block, 0) + 1
        self.reporter.record(
            {
                "step": done.steps + 1,
                "loss": moved.loss,
                "parts": moved.parts,
                "lr": lr,
                "grad_norm": moved.grad_norm,
                "block": choice.block,
                "sensitivity": list(choice.sensitivity),
                "cold": moved.cold,
                "tokens_per_second": tokens / seconds,
                "step_ms": 1000 * seconds,
                "peak_bytes": done.peak_bytes,
            }
        )

    def validate(self, step: int) -> bool:
        """Measure the held-out pairs, keep the weights if best; whether patience has run out."""
        if not self.held_out:
            return False
        what = f"the validation after step {step}, {EVALUATED_AT_ONCE} examples at once,"
        with self.memory(what, lower=TEXTS):
            value = self._value()
            better = self.stopping.better(value)
            if better and step:
                self.best = snapshot(self.movable, self.best)
        done = self.done
        done.validations.append((step, value))
        self.validated = step
        if better:
            done.best_step, done.best = step, value
        self.reporter.record(
            {
                "step": step,
                "validation": value,
                "best": done.best,
                "best_step": done.best_step,
                "patience": self.stopping.since,
                "patience_of": self.params.patience,
            }
        )
        if self.stopping.exhausted:
            since = f"no better validation since step {done.best_step}"
            done.stopped_early = f"{since} ({self.params.patience} in a row)"
        return self.stopping.exhausted

    def _value(self) -> float:
        """Mean over the held-out pairs, lower is better."""
        import torch

        with torch.inference_mode(), precision(self.lm.device, self.params):
            values = [
                self.objective.validate(self.held_out[at : at + EVALUATED_AT_ONCE])
                for at in range(0, len(self.held_out), EVALUATED_AT_ONCE)
            ]
            return float(torch.cat(values).mean())

    def attend(self) -> None:
        """What comes between two steps, where it is due or asked for: a look, a checkpoint, a saved model."""
        step, watch = self.done.steps, self.watch
        if watch and (self.reporter.asked("evaluate") or (watch.every and step % watch.every == 0)):
            self.look()
        if (watch or self.keeper) and self.reporter.asked("save"):
            self.save()
            where = f"kept as it was after step {step}, to go on from there"
            if watch:
                with self.meter.aside():
                    where = watch.keep(step)
            self.reporter.record({"step": step, "saved": where})
        elif self.keeper and self.keeper.due():
            self.save()

    def look(self) -> None:
        """Let the watch look at the weights as they are now, once."""
        if self.watch is None or self.looked == self.done.steps:
            return
        what = f"the look at the panel after step {self.done.steps}"
        with self.meter.aside(), self.memory(what, lower="the panel's prompts or texts"):
            try:
                panel = dict(self.watch.look(self.done.steps))
            except Stopped:  # the loop asks again before the next step, and ends cleanly
                return
        self.looked = self.done.steps
        self.reporter.record({"step": self.looked, "panel": panel})

    def finish(self) -> None:
        """Put the best weights back; weights that no validation has seen yet are judged first."""
        if not self.over:
            reason = self.done.stopped_early
            if self.done.steps > self.validated:
                self.validate(self.done.steps)
            self.done.stopped_early = reason or self.done.stopped_early
            if not self.held_out:
                self.done.best_step = self.done.steps
            self.look()
            self.over = not self.done.interrupted
            if self.over:
                self.save()
        if self.held_out:
            restore(self.movable, self.best)
        self.done.seconds = self.meter.seconds
