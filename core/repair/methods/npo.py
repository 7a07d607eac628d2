"""Negative preference optimisation: bad text becomes unlikely, ever more gently; good text is retained.

Zhang et al., "Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning", COLM
2024, arXiv:2404.05868, equation 3; settings of github.com/licong-lin/negative-preference-optimization and of
github.com/locuslab/open-unlearning.
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, MethodSpec, Phase, RetainParams, Setting
from core.repair.unlearning import Suppression, retaining
from core.training.parts import Objective


class NPOParams(RetainParams):
    """Settings of NPO."""

    beta: float = Field(
        0.1, gt=0, description="How soon the push fades; towards 0 it becomes gradient ascent."
    )


def build(setting: Setting) -> Objective:
    """NPO of the bad text, plus what is retained."""
    params = setting.params
    return retaining(params.gamma, Suppression(setting.lm, params.beta, setting.memo), setting)


METHODS.add(
    __name__,
    MethodSpec(
        title="Negative preference optimisation (NPO)",
        source="arXiv:2404.05868",
        needs=("rejected",),
        params=NPOParams,
        phases=(Phase(build),),
        reads_all=True,
    ),
)
