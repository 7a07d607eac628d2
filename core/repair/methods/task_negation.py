"""Task-vector negation: fine-tunes on the bad text, then steps from the untouched weights the other way.

Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023, arXiv:2212.04089, section 3; the scale as in
github.com/mlfoundations/task_vectors. The paper chooses it on held-out data; the learning rate is Winnow's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from core.repair.base import METHODS, MethodSpec, Phase, Repaired, RepairParams, Setting
from core.repair.objectives import Likelihood
from core.training.checkpoints import Weights, restore, weights_of
from core.training.parts import Objective

if TYPE_CHECKING:
    import torch


class TaskNegationParams(RepairParams):
    """Settings of task-vector negation."""

    lr: float = Field(
        1e-5, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    negation: float = Field(
        0.5,
        ge=0,
        description="Steps away from the model fine-tuned on the bad text (lambda); 0 = nothing changes.",
    )
    per: Literal["sequence", "token"] = Field(
        "token", description="NLL is a mean of all tokens of the batch, or of each text's mean."
    )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the curves of this method show."""
        return (
            "Losses and validations are those of learning the bad text; the model is then moved the other "
            "way.",
        )


def build(setting: Setting) -> Objective:
    """NLL of the rejected text."""
    return Likelihood(setting.lm, per=setting.params.per, side="bad")


def change(repaired: Repaired) -> None:
    """theta0 - lambda * (theta_toxic - theta0)."""
    moved = negated(repaired.before, repaired.after[0], repaired.params.negation)
    restore(weights_of(repaired.lm.model), moved)


def negated(before: Weights, tuned: Weights, scale: float) -> dict[str, torch.Tensor]:
    """Each weight, moved against its task vector; with scale 0, and for integers, the very same one."""
    return {
        name: start - scale * (tuned[name] - start) if scale and start.is_floating_point() else start
        for name, start in before.items()
    }


METHODS.add(
    __name__,
    MethodSpec(
        title="Task-vector negation",
        source="arXiv:2212.04089",
        needs=("rejected",),
        params=TaskNegationParams,
        phases=(Phase(build),),
        change=change,
    ),
)
