"""DAPT with a KL term: learns the good text, and stays near the untouched model on normal text.

The baseline DAPT+KL of IRepair (FSE 2025, doi:10.1145/3715775, section 5), loss as its equation 3.
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, KLParams, MethodSpec, Phase, Setting
from core.repair.objectives import Likelihood, WithKL
from core.training.parts import Objective


class DAPTKLParams(KLParams):
    """Settings of DAPT+KL."""

    lr: float = Field(
        5e-6, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    score_prompt: bool = Field(True, description="Learn the prompt's tokens too, as plain text.")


def build(setting: Setting) -> Objective:
    """Weighted NLL of the whole text + KL on normal text, all weights."""
    params = setting.params
    return WithKL(Likelihood(setting.lm, params.alpha, params.per), setting)


METHODS.add(
    __name__,
    MethodSpec(
        title="DAPT with KL (DAPT+KL)",
        source="doi:10.1145/3715775",
        needs=("response",),
        params=DAPTKLParams,
        phases=(Phase(build),),
    ),
)
