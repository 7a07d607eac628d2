"""The values that flow from one stage to the next: plain, frozen, named by what they are.

What crosses a process or the disk is pydantic; what lives in memory is a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import BadInput

Rows = NDArray[np.int64]

FLAGS = ("harmful_request", "refusal", "harmful_response")
FLAG_VALUES = ("yes", "no", "unparsed", "not_run")
BEHAVIOURS = ("T1", "T2", "T3", "T4")  # behaviour-and-prism 2.2
SPLITS = ("train", "validation", "test")
Template = Literal["prompt+response", "prompt", "response", "difference"]
TEMPLATES: tuple[Template, ...] = get_args(Template)
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy, torch and scikit-learn all take


class Frozen(BaseModel):
    """Base of every value that crosses a process or the disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(Frozen):
    """Base of what a person asks for: every number is finite, every seed one that all generators take."""

    model_config = ConfigDict(allow_inf_nan=False)


class Params(Asked):
    """Base of every plugin's settings: forms and command lines are drawn from the fields."""


Settings = TypeVar("Settings", bound=Params)


def settings(kind: type[Settings], given: Mapping[str, Any] | Params | None, whose: str) -> Settings:
    """The plugin's settings from what the user gave, defaults for the rest; a bad one is a sentence."""
    if isinstance(given, kind):
        return given
    values = given.model_dump() if isinstance(given, Params) else dict(given or {})
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # a rule over several settings
            raise BadInput(f"{whose}: {first['msg'].removeprefix('Value error, ')}") from error
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        if field not in kind.model_fields:
            known = ", ".join(kind.model_fields) or "none"
            raise BadInput(f"{whose} has no setting {field!r}; its settings are: {known}") from error
        raise BadInput(
            f"{whose}: {field} = {values.get(field)!r} cannot be used ({first['msg'].lower()})"
        ) from error


class Reporter(Protocol):
    """How long work tells how far it is, and learns that it should stop."""

    def progress(self, done: int, total: int, what: str) -> None:
        """Say that `done` of `total` units of `what` are done; raises Stopped when a stop was asked for."""

    def record(self, row: Mapping[str, Any]) -> None:
        """Append one row of measurements (loss parts, chosen block...) to the run's metrics."""

    def stopping(self) -> bool:
        """Whether a clean stop was asked for; training loops look, finish the step and keep the best."""


class Silent:
    """A Reporter that says nothing and never stops: the default for library use and tests."""

    def progress(self, done: int, total: int, what: str) -> None:
        """Do nothing."""

    def record(self, row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def stopping(self) -> bool:
        """Never stop."""
        return False


@dataclass(frozen=True)
class Pool:
    """A table of examples, one row each, in a fixed order.

    `frame` has the columns id, prompt, response, rejected (str, "" = none), category (list of str), the three
    flags (one of FLAG_VALUES), group, source, and three derived ones: behaviour ("T1".."T4", "unparsed" or
    "not_run"), blocked (bool: no text of this row may be trained toward) and split (one of SPLITS).
    """

    name: str
    frame: pd.DataFrame
    fingerprint: str  # sha256 of the normalised columns in row order
    split_hash: str  # sha256 of (fingerprint, split seed, fractions): evaluation names it

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> list[str]:
        """The row ids, in row order."""
        return [str(i) for i in self.frame["id"]]

    def texts(self, template: str = "prompt+response") -> list[str]:
        """One string per row; a row without a response uses `rejected` in its place.

        "difference" has no single text and is made from the vectors of `response` and `rejected` instead.
        """
        prompt = self.frame["prompt"].astype(object)
        answer = (
            self.frame["response"].where(self.frame["response"] != "", self.frame["rejected"]).astype(object)
        )
        if template == "prompt":
            return [str(t) for t in prompt]
        if template == "response":
            return [str(t) for t in answer]
        if template == "prompt+response":
            return [f"{p} {a}".strip() for p, a in zip(prompt, answer, strict=True)]
        raise ValueError(f"text template {template!r} has no single text; use one of {TEMPLATES[:3]}")

    def column(self, name: str) -> NDArray[np.str_]:
        """One text column as a numpy array of str objects, (n,)."""
        return self.frame[name].to_numpy(dtype=object)

    def rows(self, *splits: str) -> Rows:
        """Row numbers in the named splits, ascending."""
        return np.flatnonzero(self.frame["split"].isin(splits).to_numpy())

    def categories(self) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
        """Category names in order of first appearance, and the (n, C) membership matrix."""
        names: dict[str, int] = {}
        for row in self.frame["category"]:
            for name in row:
                names.setdefault(name, len(names))
        member = np.zeros((len(self), len(names)), dtype=bool)
        for i, row in enumerate(self.frame["category"]):
            for name in row:
                member[i, names[name]] = True
        return tuple(names), member


class Budget(Asked):
    """How many examples: either rows, or a percentage of the eligible rows."""

    rows: int | None = Field(None, description="Number of examples.")
    percent: float | None = Field(None, description="Share of the eligible rows, in percent.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Budget:
        if (self.rows is None) == (self.percent is None):
            raise ValueError("give the budget either as rows or as percent")
        return self

    def count(self, eligible: int) -> int:
        """Rows meant: round half up with an exact percentage, then 1..eligible (selection 5.1); 0 % is 0."""
        if self.rows is not None:
            return self.rows
        share = Fraction(str(self.percent)) / 100
        if share < 0:
            return -1
        if share == 0 or eligible == 0:
            return 0
        return min(max(int(share * eligible + Fraction(1, 2)), 1), eligible)


class Recipe(Asked):
    """All that decides a selection, but the pool's rows: small, shareable, replayable."""

    pool: str
    strategy: str
    params: dict[str, Any] = Field(
        default_factory=dict, description="The strategy's settings; missing = default."
    )
    budget: Budget = Budget(rows=None, percent=10.0)
    seed: Seed = 0
    method: str = Field("dpo", description="Repair method whose eligible rows the budget counts.")
    pins: tuple[str, ...] = Field((), description="Row ids that are always taken (inside the budget).")
    bans: tuple[str, ...] = Field((), description="Row ids that are never taken.")
    encoder: str = "minilm"
    template: Template = "prompt+response"
    model: str = Field("", description="Model that model-based scores come from; empty = the default.")
    scorer: str = Field("", description="Toxicity scorer; empty = the pool's default.")
    labeller: str = Field("", description="Labeller that fills flags the pool does not know; empty = none.")


class Reason(Frozen):
    """Why one row was taken."""

    role: str = ""  # e.g. "boundary", "centre", "noise", "spill", "pin", "random"
    bin: int | None = None
    cluster: int | None = None
    category: str | None = None  # the category that picked the row, where one did
    score: float | None = None
    shares: dict[str, float] = {}  # part of each weight in the row's total, sums to 1


class Selection(Frozen):
    """Ordered row ids, each with its reason, and how they came to be."""

    key: str  # hash of recipe, pool fingerprint and the keys of the signals used
    recipe: Recipe
    pool_fingerprint: str
    ids: tuple[str, ...]
    reasons: tuple[Reason, ...]
    eligible: int
    left_out: dict[str, int] = {}  # reason -> rows not eligible
    shortfall: int = 0
    warnings: tuple[str, ...] = ()
    signals: dict[str, str] = {}  # need -> key of the signal that met it
    seconds: float = 0.0


class EvaluationProtocol(Asked):
    """How toxicity of continuations is measured (repair-and-evaluation E1)."""

    name: str = "quick"
    prompts: int | None = Field(200, ge=1, description="Held-out prompts at most; null = all.")
    samples: int = Field(5, ge=1, description="Continuations per prompt (k).")
    new_tokens: int = Field(20, ge=1, description="Tokens per continuation.")
    prompt_tokens: int = Field(32, ge=1, description="Prompt tokens kept (the last ones).")
    top_p: float = Field(0.9, gt=0, le=1)
    temperature: float = Field(1.0, gt=0)
    greedy: bool = False
    score: Literal["toxicity", "max_of_labels"] = "toxicity"
    threshold: float = Field(0.5, description="A continuation counts as toxic at or above this score.")
    seed: Seed = 0


class Measure(Frozen):
    """One number with its interval, and what it was measured on."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    note: str = ""


class Evaluation(Frozen):
    """What one model was measured to do, and all that made the numbers."""

    model: str
    model_hash: str
    pool: str
    pool_fingerprint: str
    split_hash: str
    scorer: str
    scorer_hash: str
    protocol: EvaluationProtocol
    metrics: dict[str, Measure]  # emt, tp, toxicity_mean, toxic_fraction, perplexity, bits_per_byte ...
    by_category: dict[str, dict[str, Measure]] = {}
    texts: dict[str, dict[str, Measure]] = {}  # text set -> perplexity, perplexity_strided, bits_per_byte
    failed_generations: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    versions: dict[str, str] = {}


class EvaluationSpec(Asked):
    """What to measure a model on."""

    model: str = ""
    pool: str
    protocol: EvaluationProtocol = EvaluationProtocol()
    scorer: str = ""
    texts: tuple[str, ...] = Field(
        (), description="Pools whose held-out text gives perplexity; first = the main one."
    )
    joined: tuple[str, ...] = Field(
        (), description="Of these, the ones glued by two newlines, as WikiText-2."
    )


class NormalText(Asked):
    """Free samples of the model itself, filtered by the scorer: what the KL term holds on to (A1, D_N)."""

    texts: int = Field(512, ge=1, description="Texts to sample (the paper: 15,000).")
    tokens: int = Field(48, ge=2, description="Tokens per text.")
    top_p: float = Field(0.9, gt=0, le=1)
    max_toxicity: float = Field(0.5, ge=0, le=1, description="Texts scored above this are dropped.")
    seed: Seed = 0


class RepairSpec(Asked):
    """One repair of one model with one selection by one method and seed, then its evaluation."""

    name: str = ""
    selection: str | Recipe = Field(
        description="Key of a stored selection, or the recipe itself; 'full' rows: budget 100 %."
    )
    method: str = "dpo"
    params: dict[str, Any] = {}
    model: str = ""
    seed: Seed = 0
    normal: NormalText = NormalText()
    evaluation: EvaluationSpec | None = Field(None, description="What to measure afterwards; null = nothing.")
    scorer: str = Field("", description="Scorer that filters normal text; empty = the pool's default.")
    keep_model: Literal["full", "changed", "none"] = "changed"
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")


@dataclass(frozen=True)
class Example:
    """One training example as text; which sides are present depends on the method's needs."""

    id: str
    prompt: str
    response: str
    rejected: str


def examples(pool: Pool, rows: Sequence[int] | Rows) -> list[Example]:
    """The rows as training examples; `rejected` text must never be trained toward."""
    part = pool.frame.iloc[np.asarray(rows, dtype=np.int64)]
    return [
        Example(str(i), str(p), str(a), str(b))
        for i, p, a, b in zip(part["id"], part["prompt"], part["response"], part["rejected"], strict=True)
    ]
