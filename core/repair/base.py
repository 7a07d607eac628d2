"""What a repair method is: its settings, the columns it needs, and how it makes an objective and a scope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from core.lm.load import LanguageModel
from core.lm.tokenise import Encoded
from core.registry import Registry
from core.training.loop import Objective, Scope
from core.training.schedule import TrainingParams


class RepairParams(TrainingParams):
    """Settings that all methods share."""

    prompt_tokens: int = Field(64, ge=0, description="Tokens kept of a prompt, the last ones.")
    response_tokens: int = Field(64, ge=1, description="Tokens kept of a response, the first ones.")
    end_token: bool = Field(
        False, description="Close responses with the end token: teaches to stop, wrong for cut-off texts."
    )
    score_prompt: bool = Field(False, description="Learn the prompt's tokens too, as plain text.")


class KLParams(RepairParams):
    """Settings of methods that hold on to normal text by a KL term."""

    alpha: float = Field(0.5, ge=0, description="Weight of the repair loss beside the KL term.")
    kl_direction: Literal["reverse", "forward"] = Field(
        "reverse", description="reverse = KL(policy || reference), the paper's; forward = the other one."
    )
    normal_batch: int | None = Field(None, ge=1, description="Normal texts per step; empty = as the batch.")
    normal_tokens: int = Field(48, ge=1, description="Tokens kept of a normal text.")


@dataclass(frozen=True)
class Setting:
    """What a method builds on: the model, settings of the method's own class, normal texts, seed."""

    lm: LanguageModel
    params: Any
    normal: Sequence[Encoded]
    seed: int


@dataclass(frozen=True)
class MethodSpec:
    """One repair method: objective x scope."""

    title: str
    source: str
    needs: tuple[str, ...]  # columns that must be filled; an empty prompt is legal text and never needed
    params: type[RepairParams]
    build: Callable[[Setting], tuple[Objective, Scope]]
    normal: bool = False  # whether it needs normal text
    reads_all: bool = False  # whether the untouched model reads every row once before training


METHODS: Registry[MethodSpec] = Registry("repair method", "core.repair.methods")
