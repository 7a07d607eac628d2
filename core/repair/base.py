"""What a repair method is: its settings, the columns it needs, and how it makes an objective and a scope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from pydantic import Field

from core.lm.load import LanguageModel
from core.lm.tokenise import Encoded
from core.registry import Registry
from core.training.checkpoints import Weights
from core.training.loop import Objective
from core.training.schedule import TrainingParams

ScopeName = Literal["all", "lora", "dynamic", "min", "fixed"]
SCOPES: tuple[ScopeName, ...] = get_args(ScopeName)
BY_BLOCK = ("dynamic", "min", "fixed")  # choose a block by the bad texts' gradient


class RepairParams(TrainingParams):
    """Settings that all methods share."""

    scope: ScopeName = Field(
        "all",
        description="Weights that may move: all; lora = low-rank adapters, merged at the end; dynamic = in "
        "each step the block the bad texts point at (IRepair); min and fixed = its ablations.",
    )
    lora_rank: int = Field(8, ge=1, description="Rank of the adapters (scope lora).")
    lora_alpha: float = Field(8.0, gt=0, description="The adapters count alpha / rank times (scope lora).")
    slice_rows: int = Field(
        2000, ge=1, description="Random bad examples that choose the block (scope fixed; the paper: 2,000)."
    )
    per: Literal["sequence", "token"] = Field(
        "sequence",
        description="NLL is a mean of each text's mean (IRepair), or of all tokens of the batch (TRL).",
    )

    prompt_tokens: int = Field(64, ge=0, description="Tokens kept of a prompt, the last ones.")
    response_tokens: int = Field(64, ge=1, description="Tokens kept of a response, the first ones.")
    end_token: bool = Field(
        False, description="Close responses with the end token: teaches to stop, wrong for cut-off texts."
    )
    score_prompt: bool = Field(False, description="Learn the prompt's tokens too, as plain text.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns these settings need filled, beyond those of the method."""
        return ("rejected",) if self.scope in BY_BLOCK else ()

    @property
    def normal(self) -> bool:
        """Whether these settings need normal text."""
        return False


class KLParams(RepairParams):
    """Settings of methods that hold on to normal text by a KL term."""

    alpha: float = Field(0.5, ge=0, description="Weight of the repair loss beside the KL term.")
    kl_direction: Literal["reverse", "forward"] = Field(
        "reverse", description="reverse = KL(policy || reference), the paper's; forward = the other one."
    )
    normal_batch: int | None = Field(None, ge=1, description="Normal texts per step; empty = as the batch.")
    normal_tokens: int = Field(48, ge=1, description="Tokens kept of a normal text.")

    @property
    def normal(self) -> bool:
        """Always: the KL term is measured on it."""
        return True


class ReferenceMemo(Protocol):
    """Remembers, beyond the run, what the untouched model said of a text: (k,) floats under a key."""

    def get(self, keys: Sequence[str]) -> list[Any]:
        """What is known of each key, in order: (k,) float64, or None."""

    def put(self, keys: Sequence[str], values: Sequence[Any]) -> None:
        """Remember these."""


@dataclass(frozen=True)
class Setting:
    """What a method builds on: the model, settings of the method's own class, normal texts, seed."""

    lm: LanguageModel
    params: Any
    normal: Sequence[Encoded]
    seed: int
    memo: ReferenceMemo | None = None  # bound to this very model


@dataclass(frozen=True)
class Phase:
    """One training from the untouched model; most methods have one, and those that only decode none."""

    build: Callable[[Setting], Objective]
    name: str = ""  # told with every measured row where there are several


@dataclass(frozen=True)
class Repaired:
    """What a method's phases came to, for `compose`: the model holds the last phase's weights."""

    lm: LanguageModel
    params: Any
    before: Weights  # the untouched model's, by name, in main memory
    after: Sequence[Weights]  # one per phase
    folder: Path  # the model folder, already written as the method's model; side models go below it


@dataclass(frozen=True)
class MethodSpec:
    """One repair method: objective x scope, in one or more phases, and what is made of them."""

    title: str
    source: str
    needs: tuple[str, ...]  # columns that must be filled; an empty prompt is legal text and never needed
    params: type[RepairParams]
    phases: tuple[Phase, ...]
    change: Callable[[Repaired], None] | None = None  # moves the weights once more, before they are saved
    decode: Callable[[Repaired], dict[str, Any]] | None = None  # what decoder.json says (core.lm.decoders)
    reads_all: bool = False  # whether the untouched model reads every row once before training

    def columns(self, params: RepairParams) -> tuple[str, ...]:
        """Columns that must be filled with these settings."""
        return tuple(dict.fromkeys((*self.needs, *params.columns)))


METHODS: Registry[MethodSpec] = Registry("repair method", "core.repair.methods")
