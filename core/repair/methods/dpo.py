"""Direct preference optimisation: the good response gains over the bad one, relative to the untouched model.

Rafailov et al., NeurIPS 2023, arXiv:2305.18290, equation 7; settings as Lee et al., arXiv:2401.01967.
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, Mask, MethodSpec, Phase, RepairParams, Setting
from core.repair.objectives import Preferences
from core.training.parts import Objective, Pair
from core.values import Example


class DPOParams(RepairParams):
    """Settings of DPO."""

    lr: float = Field(
        1e-6, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    beta: float = Field(0.1, gt=0, description="How strongly the policy is held to the reference.")


def build(setting: Setting) -> Objective:
    """DPO loss over pairs, all weights."""
    return Preferences(setting.lm, setting.params.beta, setting.memo)


def refuse(example: Example, mask: Mask) -> str:
    """Equal sides have a loss but no gradient, whatever the model says."""
    same = example.response.strip() == example.rejected.strip()
    return "its response and its rejected text are the same" if same else ""


def idle(pair: Pair) -> str:
    """Sides that are equal as far as they are kept."""
    same = pair.good.ids == pair.bad.ids
    return "its two texts differ only after the tokens that are kept" if same else ""


METHODS.add(
    __name__,
    MethodSpec(
        title="Direct preference optimisation (DPO)",
        source="arXiv:2305.18290",
        needs=("response", "rejected"),
        params=DPOParams,
        phases=(Phase(build),),
        reads_all=True,
        refuse=refuse,
        idle=idle,
    ),
)
