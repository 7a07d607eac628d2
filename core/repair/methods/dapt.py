"""Domain-adaptive pre-training: all weights learn prompt and good response as plain text.

Gururangan et al., "Don't Stop Pretraining", ACL 2020, arXiv:2004.10964, section 3; learning rate as IRepair's
baseline (Imtiaz et al., FSE 2025, doi:10.1145/3715775, section 5).
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, MethodSpec, Phase, RepairParams, Setting
from core.repair.objectives import Likelihood
from core.training.parts import Objective


class DAPTParams(RepairParams):
    """Settings of domain-adaptive pre-training."""

    lr: float = Field(
        1e-6, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    score_prompt: bool = Field(True, description="Learn the prompt's tokens too, as plain text.")


def build(setting: Setting) -> Objective:
    """NLL of the whole text, all weights."""
    return Likelihood(setting.lm, per=setting.params.per)


METHODS.add(
    __name__,
    MethodSpec(
        title="Domain-adaptive pre-training (DAPT)",
        source="arXiv:2004.10964",
        needs=("response",),
        params=DAPTParams,
        phases=(Phase(build),),
    ),
)
