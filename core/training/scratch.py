"""Trains a small model from scratch on the CPU: length-sorted batches, a schedule, clipped AdamW steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from core.errors import BadInput
from core.values import Params, Reporter, Rows

if TYPE_CHECKING:
    import torch

REPORT_EVERY = 10  # steps between two rows of metrics


class ScratchParams(Params):
    """What every training from scratch has to decide besides the size of the model."""

    epochs: int = Field(3, ge=1, description="Passes over all texts.")
    batch: int = Field(32, ge=1, description="Texts per step.")
    lr: float = Field(2e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0)
    warmup: int = Field(50, ge=0, description="Steps in which the learning rate rises to its peak.")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm.")
    seed: int = Field(0, ge=0)
    max_seconds: float | None = Field(
        None,
        gt=0,
        description="Seconds of processor time at most; the schedule then also runs down with them, and a "
        "run is no longer repeatable bit for bit.",
    )


@dataclass
class Fitted:
    """What a training run did."""

    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)  # mean training loss, one per epoch begun


def cosine(part: float) -> float:
    """Learning-rate factor after `part` (0..1) of the training: from 1 down to 0.05."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


def linear(part: float) -> float:
    """Learning-rate factor after `part` (0..1) of the training: from 1 down to 0."""
    return 1 - min(part, 1.0)


@contextmanager
def one_seeded_thread(seed: int) -> Iterator[None]:
    """Weights made and steps done inside depend on `seed` only.

    Sums over several threads differ in the last bit between runs, and two threads are slower than one on a
    busy machine. Model classes draw their first weights from torch's global generator: it is seeded here and
    put back.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def length_sorted(lengths: Sequence[int], batch: int, rng: np.random.Generator) -> list[Rows]:
    """Row numbers of each batch: texts of like length together, ties and the order of batches at random."""
    shuffled = rng.permutation(len(lengths))
    order = shuffled[np.argsort(np.asarray(lengths)[shuffled], kind="stable")]
    batches = [order[at : at + batch] for at in range(0, len(order), batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def padded(sequences: Sequence[Sequence[int]], rows: Rows, pad: int) -> torch.Tensor:
    """The rows' token ids as one (b, t) tensor, filled up on the right to the longest of them."""
    import torch

    longest = max(len(sequences[r]) for r in rows)
    return torch.tensor([[*sequences[r], *[pad] * (longest - len(sequences[r]))] for r in rows])


def fit(
    model: torch.nn.Module,
    loss_of: Callable[[Rows], torch.Tensor],
    lengths: Sequence[int],
    *,
    params: ScratchParams,
    decay: Callable[[float], float],
    reporter: Reporter,
    what: str,
) -> Fitted:
    """Train `model` in place on `loss_of(rows)`, a batch's mean loss; `lengths` are tokens per text."""
    import torch

    if not lengths:
        raise BadInput(f"no text is left for the {what}; give at least one text that is not empty")
    rng = np.random.default_rng(params.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=params.lr, weight_decay=params.weight_decay)
    total = params.epochs * math.ceil(len(lengths) / params.batch)
    fitted, began, busy = Fitted(), time.perf_counter(), time.process_time()
    model.train()
    for epoch in range(params.epochs):
        losses: list[float] = []
        for rows in length_sorted(lengths, params.batch, rng):
            part = fitted.steps / total
            if params.max_seconds is not None:
                part = max(part, (time.process_time() - busy) / params.max_seconds)
            if part >= 1:
                break
            rate = params.lr * min(1.0, (fitted.steps + 1) / max(params.warmup, 1)) * decay(part)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = loss_of(rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), params.clip)
            optimizer.step()
            fitted.steps += 1
            losses.append(loss.item())
            reporter.progress(fitted.steps, total, what)
            if fitted.steps % REPORT_EVERY == 0:
                reporter.record({"step": fitted.steps, "epoch": epoch, "loss": losses[-1], "lr": rate})
        if losses:
            fitted.losses.append(float(np.mean(losses)))
    fitted.seconds = time.perf_counter() - began
    model.eval()
    return fitted
