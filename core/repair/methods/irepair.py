"""IRepair: each step the block most responsible for the bad text learns the good text, no other weight moves.

Imtiaz et al., "IRepair: An Intent-Aware Approach to Repair Data-Driven Errors in Large Language Models",
FSE 2025, doi:10.1145/3715775, Algorithms 1 and 2.
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, MethodSpec, Phase, RepairParams, ScopeName, Setting
from core.repair.objectives import Likelihood
from core.training.parts import Objective


class IRepairParams(RepairParams):
    """Settings of IRepair."""

    scope: ScopeName = Field("dynamic", description="Weights that may move; dynamic is the method's own.")
    lr: float = Field(
        2e-5, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    alpha: float = Field(
        0.5, ge=0, description="Weight of the repair loss; RMSprop makes it nearly irrelevant."
    )


def build(setting: Setting) -> Objective:
    """Weighted NLL of the good response, the block with the largest gradient of the bad one."""
    return Likelihood(setting.lm, setting.params.alpha, setting.params.per)


METHODS.add(
    __name__,
    MethodSpec(
        title="IRepair",
        source="doi:10.1145/3715775",
        needs=("response", "rejected"),
        params=IRepairParams,
        phases=(Phase(build),),
    ),
)
