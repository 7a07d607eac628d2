"""How weights move: RMSprop or AdamW, clipped, and only if everything is finite."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.training.parts import Terms
from core.training.schedule import OptimizerName

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Moved:
    """What one step did; the numbers may be anything but finite, then it did nothing."""

    loss: float
    parts: dict[str, float]
    grad_norm: float  # before clipping
    finite: bool
    cold: bool  # whether a weight moved for the first time


def optimizer(
    model: Any, lr: float, name: OptimizerName = "rmsprop", weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """RMSprop or AdamW over the model's weights, as torch has them.

    RMSprop (alpha 0.99): the first step moves every weight by 10 * lr (F-3). AdamW: betas 0.9 and 0.999, eps
    1e-8, as TRL. Weights whose gradient is None are not touched and get no state. A zero would not do: it
    still shrinks RMSprop's state, and with Adam it even moves the weight (A9.1).
    """
    import torch

    if name == "adamw":
        return torch.optim.AdamW(
            model.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=weight_decay
        )
    return torch.optim.RMSprop(model.parameters(), lr=lr, alpha=0.99, weight_decay=weight_decay)


def move(
    optimiser: torch.optim.Optimizer, terms: Terms, *, lr: float, clip: float, finite: bool = True
) -> Moved:
    """Go backward, clip and step; no weight is touched if something is not finite, or was not before."""
    import torch

    terms.loss.backward()  # type: ignore[no-untyped-call]
    moving = [w for group in optimiser.param_groups for w in group["params"] if w.grad is not None]
    norm = torch.nn.utils.clip_grad_norm_(moving, clip)
    # one look at the device for all numbers
    loss, grad_norm, *parts = torch.stack(
        [v.detach().float() for v in (terms.loss, norm, *terms.parts.values())]
    ).tolist()
    finite = finite and math.isfinite(loss) and math.isfinite(grad_norm)
    cold = finite and any(w not in optimiser.state for w in moving)
    if finite:
        for group in optimiser.param_groups:
            group["lr"] = lr
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return Moved(loss, dict(zip(terms.parts, parts, strict=True)), grad_norm, finite, cold)
