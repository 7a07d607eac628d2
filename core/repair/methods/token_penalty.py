"""IF-Guide's token penalty: learns the text, and unlearns those of its tokens that a mask names.

IF-Guide, "Influence Function-Guided Detoxification of LLMs", arXiv:2506.01790, its training objective
(influence.md A5): the published fine-tuning learning rate; the loop is Winnow's own.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.repair.base import METHODS, Mask, MethodSpec, Phase, RepairParams, Setting
from core.repair.unlearning import TokenPenalty, told
from core.training.parts import Objective, Pair
from core.values import Example


class TokenPenaltyParams(RepairParams):
    """Settings of the token penalty."""

    lr: float = Field(
        6e-5, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    penalty: float = Field(
        1.0, ge=0, description="Weight of the penalised tokens' loss (lambda); above 0 it has no lower bound."
    )
    clamp: float | None = Field(
        None,
        gt=0,
        description="Not IF-Guide: no penalised token is pushed beyond this loss in nats; empty = no limit.",
    )
    per: Literal["token"] = Field(
        "token", description="The loss is always divided by all scored tokens of the batch."
    )

    @property
    def notes(self) -> tuple[str, ...]:
        """That a clamped loss is not the paper's."""
        return () if self.clamp is None else ("The penalty is clamped, which is not IF-Guide's objective.",)


def build(setting: Setting) -> Objective:
    """Cross-entropy minus `penalty` times that of the masked tokens."""
    return TokenPenalty(setting.lm, setting.params.penalty, setting.params.clamp)


def refuse(example: Example, mask: Mask) -> str:
    """The text of a row is its response; else its rejected text, which must have a penalised token.

    A rejected text is never trained toward without its toxic tokens penalised.
    """
    if example.response.strip() or (example.rejected.strip() and any(mask[1])):
        return ""
    return "it has no response, and no token of its rejected text is penalised"


def idle(pair: Pair) -> str:
    """A rejected text whose penalised tokens were cut off."""
    text, _ = told(pair)
    return (
        "" if text.scored > 0 else "the penalised tokens of its rejected text lie behind those that are kept"
    )


METHODS.add(
    __name__,
    MethodSpec(
        title="Token penalty (IF-Guide)",
        source="arXiv:2506.01790",
        needs=(),
        params=TokenPenaltyParams,
        phases=(Phase(build),),
        masks=True,
        refuse=refuse,
        idle=idle,
    ),
)
