"""Gradient difference: gradient ascent on the bad text, descent on what is retained. It diverges by design.

Liu et al., "Continual Learning and Private Unlearning", CoLLAs 2022, arXiv:2203.12817, section 3
("GradDiff" in Maini et al., "TOFU", COLM 2024, arXiv:2401.06121); settings of
github.com/locuslab/open-unlearning.
"""

from __future__ import annotations

from pydantic import Field

from core.repair.base import METHODS, MethodSpec, Phase, RetainParams, Setting
from core.repair.objectives import Likelihood
from core.repair.unlearning import retaining
from core.training.parts import Objective


class GradDiffParams(RetainParams):
    """Settings of GradDiff; the loss has no lower bound, so steps or epochs must end it, not patience."""

    gamma: float = Field(
        1.0,
        gt=0,
        description="Weight of the ascent on the bad text. It has no end: more steps always lower the loss "
        "and at last ruin the model, so keep them few and watch the perplexity.",
    )

    @property
    def notes(self) -> tuple[str, ...]:
        """That nothing holds the model, where nothing does; and that validation cannot end it."""
        if self.kept == "none":
            return (
                "Nothing is retained: this is plain gradient ascent, which ruins the model if it goes on; "
                "judge it by its perplexity.",
            )
        return (
            "Gradient ascent has no lower bound: a falling validation loss does not say that the model is "
            "still good; judge it by its perplexity.",
        )


def build(setting: Setting) -> Objective:
    """Minus gamma times the NLL of the bad text, plus what is retained."""
    params = setting.params
    return retaining(-params.gamma, Likelihood(setting.lm, per=params.per, side="bad"), setting)


METHODS.add(
    __name__,
    MethodSpec(
        title="Gradient difference (GradDiff)",
        source="arXiv:2203.12817",
        needs=("rejected",),
        params=GradDiffParams,
        phases=(Phase(build),),
    ),
)
