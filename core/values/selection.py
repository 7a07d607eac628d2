"""What a selection is asked for (budget, recipe) and what it is (ordered ids with reasons)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, model_validator

from core.values.base import Asked, Frozen, Seed, Template


class Budget(Asked):
    """How many examples: rows, a percentage of the eligible rows, or as many as fit into so many tokens."""

    rows: int | None = Field(None, description="Number of examples.")
    percent: float | None = Field(None, description="Share of the eligible rows, in percent.")
    tokens: int | None = Field(None, description="Tokens of the chosen examples together, at most.")

    @model_validator(mode="after")
    def _one_of_three(self) -> Budget:
        if sum(given is not None for given in (self.rows, self.percent, self.tokens)) != 1:
            raise ValueError("give the budget as rows, as percent or as tokens, and as one of them only")
        return self

    def count(self, eligible: int) -> int:
        """Rows meant: round half up with an exact percentage, then 1..eligible (selection 5.1); 0 % is 0.

        A budget in tokens means as many rows as there are; the tokens cut it later.
        """
        if self.rows is not None:
            return self.rows
        if self.percent is None:
            return eligible
        share = Fraction(str(self.percent)) / 100
        if share < 0:
            return -1
        if share == 0 or eligible == 0:
            return 0
        return min(max(int(share * eligible + Fraction(1, 2)), 1), eligible)

    @property
    def words(self) -> str:
        """The budget as a person would say it."""
        if self.rows is not None:
            return f"{self.rows:,} rows"
        return f"{self.percent:g} %" if self.tokens is None else f"{self.tokens:,} tokens"


class SemDedup(Asked):
    """The filter before a strategy: of rows closer than eps to an earlier one, only that one may be taken.

    SemDeDup, Abbas et al. 2023 (arXiv:2303.09540), in clusters of the embedding (selection 9.3).
    """

    eps: float = Field(
        0.05, ge=0.0, le=0.5, description="Rows with a cosine above 1 - eps to an earlier one are set aside."
    )
    keep: Literal["hard", "easy", "random"] = Field(
        "hard",
        description="Which of near-duplicates stays: farthest from its cluster's centre, nearest, any.",
    )
    clusters: Literal["kmeans", "hdbscan"] = Field(
        "kmeans", description="Clustering inside whose groups near-duplicates are looked for."
    )


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
    dedup: SemDedup | None = Field(None, description="Set near-duplicates aside first; null = keep them.")
    reference: str = Field(
        "",
        description="Pool that reference-based strategies compare with (its test rows are never read); "
        "empty = the pool's own validation rows.",
    )
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
    category: str | None = None  # the category (or other label) that picked the row, where one did
    score: float | None = None
    shares: dict[str, float] = {}  # part of each weight in the row's total, sums to 1
    penalty: float | None = None  # taken off the total for likeness to rows chosen before it


class Selection(Frozen):
    """Ordered row ids, each with its reason, and how they came to be."""

    key: str  # hash of recipe, pool fingerprint and the keys of the signals used
    recipe: Recipe
    pool_fingerprint: str
    ids: tuple[str, ...]
    reasons: tuple[Reason, ...]
    eligible: int
    left_out: dict[str, int] = {}  # reason -> rows not eligible
    set_aside: int = 0  # near-duplicates that the filter took out of the race
    tokens: int | None = None  # of the chosen rows together, where the budget counted them
    shortfall: int = 0
    warnings: tuple[str, ...] = ()
    signals: dict[str, str] = {}  # need -> key of the signal that met it
    seconds: float = 0.0
