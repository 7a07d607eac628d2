"""What a study asks: a grid of repairs with one question, written down as one file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from core.values.base import Asked, Seed
from core.values.repair import EvaluationSpec, Mix, NormalText
from core.values.selection import Budget


class StudyStrategy(Asked):
    """One way of choosing rows: a strategy with its settings, and what else its recipe says."""

    strategy: str
    params: dict[str, Any] = {}
    recipe: dict[str, Any] = Field(
        {}, description="Further fields of the recipe, such as dedup, reference or quotas."
    )
    label: str = Field("", description="What charts call it; empty = the strategy's name.")


class StudyMethod(Asked):
    """One way of repairing."""

    method: str
    params: dict[str, Any] = {}
    full_params: dict[str, Any] = Field(
        {}, description="Settings that differ in the full-data run, such as more steps."
    )
    label: str = Field("", description="What charts call it; empty = the method's name.")


class StudySpec(Asked):
    """Strategies x budgets x methods x seeds: every run is one RepairSpec, cheap ones first."""

    name: str
    question: str = ""
    pool: str
    strategies: tuple[StudyStrategy, ...] = Field(min_length=1)
    budgets: tuple[Budget, ...] = Field(min_length=1)
    methods: tuple[StudyMethod, ...] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field((0, 1, 2), min_length=1)
    full: bool = Field(True, description="Also repair with all eligible rows, once per method and seed.")
    model: str = ""
    scorer: str = ""
    normal: NormalText = NormalText()
    mix: Mix | None = None
    evaluation: EvaluationSpec | None = Field(None, description="What every run is measured on.")
    keep_model: Literal["best", "changed", "none"] = Field(
        "none", description="Models kept: of the best run only, of all as changed weights, or none."
    )
    device: str = "auto"
