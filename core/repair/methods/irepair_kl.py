"""IRepair with KL: the chosen block learns the good text and keeps the model's ways on normal text.

Imtiaz et al., "IRepair: An Intent-Aware Approach to Repair Data-Driven Errors in Large Language Models",
FSE 2025, doi:10.1145/3715775, Algorithms 1 and 2, equation 3.
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, KLParams, MethodSpec, Phase, ScopeName, Setting
from core.repair.objectives import Likelihood, WithKL
from core.training.parts import Objective


class IRepairKLParams(KLParams):
    """Settings of IRepair with KL."""

    scope: ScopeName = Field("dynamic", description="Weights that may move; dynamic is the method's own.")
    lr: float = Field(
        5e-5, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )


def build(setting: Setting) -> Objective:
    """Weighted NLL of the good response + KL on normal text, the block the bad one points at."""
    params = setting.params
    return WithKL(Likelihood(setting.lm, params.alpha, params.per), setting)


METHODS.add(
    __name__,
    MethodSpec(
        title="IRepair with KL (IRepair+KL)",
        source="doi:10.1145/3715775",
        needs=("response", "rejected"),
        params=IRepairKLParams,
        phases=(Phase(build),),
    ),
)
