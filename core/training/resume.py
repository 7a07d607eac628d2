"""Keeps a training under way on disk: after any kill it goes on, and ends with the very same bits (on a CPU).

One safetensors file, replaced as a whole: tensors now/NAME, best/NAME and state/NAME/KEY (the optimiser's),
all else as json in its header. Only what moved is in it; the rest is what the untouched model has anyway.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.training.checkpoints import Weights, snapshot
from core.training.parts import Trained
from core.values import Frozen
from core.workspace.files import atomic_file

if TYPE_CHECKING:
    import torch

SHARE = 0.03  # of the time at most goes into writing


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is kept, and for whom: a file under another key is dropped.

    `key` names all that decides the training (model, examples, settings, seed). One process at a time may use
    the path. With `every_s` = 0 each step is kept, whatever that costs; else never more than 3 % of the time.
    """

    path: Path
    key: str
    every_s: float = 30.0  # seconds


class State(Frozen):
    """A training after some step, its weights left out."""

    done: Trained
    best: float  # of early stopping, as is `since`
    since: int
    validated: int  # last step that was
    looked: int  # last step that was; -1 = none yet
    over: bool  # nothing is left to train


class Keeper:
    """Writes and reads one training's checkpoint."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        movable: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
        start: Weights,
    ) -> None:
        """`start` are the movable weights before the first step, in main memory."""
        self.checkpoint, self.movable, self.optimizer, self.start = checkpoint, movable, optimizer, start
        self.last, self.cost = time.perf_counter(), 0.0

    def due(self) -> bool:
        """Whether it is time for the next one."""
        every = self.checkpoint.every_s
        return every == 0 or time.perf_counter() - self.last >= max(every, self.cost / SHARE)

    def write(self, state: State, best: Weights) -> None:
        """Replace the file; a failed write leaves the old one."""
        from safetensors.torch import save_file

        began = time.perf_counter()
        header = {"key": self.checkpoint.key, "state": json.dumps(state.model_dump())}
        with atomic_file(self.checkpoint.path) as part:
            save_file(self._tensors(state, best), part, metadata=header)
            with part.open("r+b") as file:
                os.fsync(file.fileno())
        self.last = time.perf_counter()
        self.cost = self.last - began

    def take_up(self) -> tuple[State, Weights] | None:
        """Put weights and optimiser back as the file has them; its state and best weights.

        None, with nothing touched, if there is no file, a damaged one, or one of another training.
        """
        from safetensors import SafetensorError, safe_open

        path = self.checkpoint.path
        for left in path.parent.glob(f".{path.name[:80]}.*.part"):  # by a kill in the middle of a write
            left.unlink(missing_ok=True)
        try:
            with safe_open(path, framework="pt") as file:
                key, state = file.metadata()["key"], State(**json.loads(file.metadata()["state"]))
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):  # absent or damaged
            return None
        if key != self.checkpoint.key or not all(self._fits(*each) for each in found.items()):
            return None
        return state, self._put_back(found, state)

    def _tensors(self, state: State, best: Weights) -> dict[str, torch.Tensor]:
        """What moved has optimiser state; best weights that are also the present ones are written once."""
        found = {}
        for name, weight in self.movable.items():
            if weight in self.optimizer.state:
                found[f"now/{name}"] = weight.detach().contiguous()
                for key, value in self.optimizer.state[weight].items():
                    found[f"state/{name}/{key}"] = value.contiguous()
            if best[name] is not self.start[name] and state.done.best_step != state.done.steps:
                found[f"best/{name}"] = best[name].contiguous()
        return found

    def _fits(self, key: str, value: torch.Tensor) -> bool:
        """Whether the tensor belongs to a weight of that name and shape, or counts its steps."""
        kind, name, *_ = key.split("/")
        weight = self.movable.get(name)
        return weight is not None and (value.shape == weight.shape or (kind == "state" and not value.ndim))

    def _put_back(self, found: Weights, state: State) -> Weights:
        """Everything into its place; the best weights, in main memory (`found` maps the file)."""
        import torch

        best = dict(self.start)
        for key, value in found.items():
            kind, name, *rest = key.split("/")
            weight = self.movable[name]
            if kind == "now":
                with torch.no_grad():
                    weight.copy_(value)
            elif kind == "best":
                best[name] = value.clone()
            else:  # torch counts steps in main memory, whatever the device
                device = weight.device if value.ndim else "cpu"
                self.optimizer.state[weight][rest[0]] = value.to(device, copy=True)
        return snapshot(self.movable, self.start) if state.done.best_step == state.done.steps else best
