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
from core.training.parts import Objective, Pair
from core.training.schedule import TrainingParams
from core.values import Example

ScopeName = Literal["all", "lora", "dynamic", "min", "fixed"]
SCOPES: tuple[ScopeName, ...] = get_args(ScopeName)
Mask = tuple[Sequence[bool], Sequence[bool]]  # per token of the response, of the rejected text: penalised
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

    @property
    def notes(self) -> tuple[str, ...]:
        """What these settings come to that their names do not say, as sentences told with the result."""
        return ()


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


class RetainParams(KLParams):
    """Settings of methods that push the bad text down, and may hold on to the good or to normal text."""

    lr: float = Field(
        1e-5, gt=0, le=1, description="Learning rate; RMSprop's first steps are ten times larger."
    )
    gamma: float = Field(1.0, gt=0, description="Weight of the loss that pushes the bad text down.")
    alpha: float = Field(1.0, ge=0, description="Weight of what is retained; 0 retains nothing.")
    retain: Literal["nll", "kl", "none"] = Field(
        "nll",
        description="What holds the model: nll = learns the good text, kl = stays near the untouched model "
        "on normal text, none = nothing does.",
    )
    kl_direction: Literal["reverse", "forward"] = Field(
        "forward", description="forward = KL(reference || policy), as open-unlearning computes it."
    )
    per: Literal["sequence", "token"] = Field(
        "token",
        description="NLL is a mean of all tokens of the batch (open-unlearning), or of each text's mean.",
    )

    @property
    def kept(self) -> Literal["nll", "kl", "none"]:
        """What is retained in fact: nothing where it weighs nothing."""
        return self.retain if self.alpha else "none"

    @property
    def columns(self) -> tuple[str, ...]:
        """The good text, where it is retained."""
        return ("response", *super().columns) if self.kept == "nll" else super().columns

    @property
    def normal(self) -> bool:
        """Where the KL term retains."""
        return self.kept == "kl"


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
    """What a method's phases came to, for its `change` or `decode`.

    A `change` finds the model with the last phase's weights and moves them; nothing is on disk yet. A
    `decode` finds it untouched, and the model folder written so; it may put any weights into the model to
    save them as side models below that folder (core.training.checkpoints: restore, save, base = `before`).
    """

    lm: LanguageModel
    params: Any
    before: Weights  # the untouched model's, by name, in main memory
    after: Sequence[Weights]  # one per phase, by the same names
    folder: Path  # the model folder


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
    masks: bool = False  # whether it penalises the tokens that a mask names, and so needs one
    refuse: Callable[[Example, Mask], str] | None = None  # why this row cannot be used; "" = it can
    idle: Callable[[Pair], str] | None = (
        None  # why this row, cut to its tokens, teaches nothing; "" = it does
    )

    def columns(self, params: RepairParams) -> tuple[str, ...]:
        """Columns that must be filled with these settings."""
        return tuple(dict.fromkeys((*self.needs, *params.columns)))


METHODS: Registry[MethodSpec] = Registry("repair method", "core.repair.methods")
