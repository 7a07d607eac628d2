"""Supervised fine-tuning: all weights learn the good responses; the prompt is looked at, not learned.

Ouyang et al., "Training language models to follow instructions with human feedback", NeurIPS 2022
(arXiv:2203.02155), step 1; learning rate of TRL's SFTTrainer.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.repair.base import METHODS, MethodSpec, Phase, RepairParams, Setting
from core.repair.objectives import Likelihood
from core.training.parts import Objective


class SFTParams(RepairParams):
    """Settings of supervised fine-tuning."""

    lr: float = Field(
        2e-5, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    per: Literal["sequence", "token"] = Field(
        "token", description="NLL is a mean of the batch's tokens (TRL), or of each text's mean (IRepair)."
    )


def build(setting: Setting) -> Objective:
    """NLL of the good response, all weights."""
    return Likelihood(setting.lm, per=setting.params.per)


METHODS.add(
    __name__,
    MethodSpec(
        title="Supervised fine-tuning (SFT)",
        source="arXiv:2203.02155",
        needs=("response",),
        params=SFTParams,
        phases=(Phase(build),),
    ),
)
