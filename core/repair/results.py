"""What a repair did and what it took: the trainings of its phases put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from core.training.parts import Trained
from core.values import Frozen, Reporter
from core.workspace import content_key


class RepairResult(Frozen):
    """What a repair did and what it took.

    Several phases stand one after the other: their steps are counted on, their losses and validations follow
    each other. A method without phases trains nothing and has 0 steps.
    """

    steps: int
    best_step: int  # whose weights the last phase ended with; 0 = none was better than the untouched model's
    stopped_early: str  # the reason as a sentence; empty = all steps were done
    interrupted: bool  # whether that reason is the user
    seconds: float
    tokens: int  # real tokens looked at, padding left out
    tokens_per_second: float
    peak_bytes: int  # of the CUDA device, else of the process
    losses: tuple[float, ...]  # one per step
    validations: tuple[tuple[int, float], ...]  # (step, value), lower is better
    block_counts: dict[int, int]  # how often each block was chosen; empty where all weights move
    final: dict[str, float]  # loss parts of the last step
    weights: str  # hash of the repaired weights; for a decoder, of it and all weights that it uses
    resumed: tuple[int, ...] = ()  # steps at which it was taken up again after something had ended it
    notes: tuple[
        str, ...
    ] = ()  # what the settings or rows come to that is not to be overlooked, as sentences


def decoded_hash(said: Mapping[str, Any], weights: Sequence[str]) -> str:
    """Names a model that decodes otherwise: what decoder.json says, and the hashes of all its weights.

    These are the untouched model's own, then those of its side models in the order of the phases.
    """
    return content_key({"decoder": said, "weights": list(weights)})


def joined(done: Sequence[Trained], names: Sequence[str], weights: str, notes: Sequence[str]) -> RepairResult:
    """The phases' trainings as one result; `done` may be shorter than `names` after a stop."""
    starts = [sum(t.steps for t in done[:n]) for n in range(len(done) + 1)]
    last = done[-1] if done else Trained()
    seconds, tokens = sum(t.seconds for t in done), sum(t.tokens for t in done)
    counts: Counter[int] = Counter()
    for trained in done:
        counts.update({int(block): count for block, count in trained.block_counts.items()})
    reasons = [
        f"{name}: {t.stopped_early}" if len(names) > 1 else t.stopped_early
        for name, t in zip(names, done, strict=False)
        if t.stopped_early
    ]
    return RepairResult(
        steps=starts[-1],
        best_step=last.best_step + starts[-2] if last.best_step else 0,
        stopped_early="; ".join(reasons),
        interrupted=any(t.interrupted for t in done),
        seconds=seconds,
        tokens=tokens,
        tokens_per_second=tokens / seconds if seconds else 0.0,
        peak_bytes=max((t.peak_bytes for t in done), default=0),
        losses=tuple(loss for t in done for loss in t.losses),
        validations=tuple(
            (int(step) + start, value)
            for t, start in zip(done, starts, strict=False)
            for step, value in t.validations
        ),
        block_counts=dict(sorted(counts.items())),
        final=last.final,
        weights=weights,
        resumed=tuple(step + start for t, start in zip(done, starts, strict=False) for step in t.resumed),
        notes=tuple(notes),
    )


class InPhase:
    """A reporter that tells the phase's name with every measured row."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self.reporter, self.name = reporter, name

    def progress(self, done: int, total: int, what: str) -> None:
        """As the reporter does, the phase named."""
        self.reporter.progress(done, total, f"{what} ({self.name})")

    def record(self, row: Mapping[str, Any]) -> None:
        """As the reporter does, with the phase."""
        self.reporter.record({**row, "phase": self.name})

    def stopping(self) -> bool:
        """As the reporter says."""
        return self.reporter.stopping()

    def asked(self, what: str) -> bool:
        """As the reporter says."""
        return self.reporter.asked(what)
