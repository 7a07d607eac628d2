"""The values that flow from one stage to the next: plain, frozen, named by what they are.

What crosses a process or the disk is pydantic; what lives in memory is a frozen dataclass.
"""

from __future__ import annotations

from core.values.base import (
    BEHAVIOURS,
    FLAG_VALUES,
    FLAGS,
    SPLITS,
    TEMPLATES,
    Asked,
    Frozen,
    Params,
    Reporter,
    Rows,
    Seed,
    Silent,
    Template,
    settings,
)
from core.values.pool import Example, Pool, examples
from core.values.repair import (
    Evaluation,
    EvaluationProtocol,
    EvaluationSpec,
    HeldOut,
    Measure,
    Mix,
    NormalText,
    Panel,
    RepairSpec,
)
from core.values.selection import Budget, Reason, Recipe, Selection, SemDedup
from core.values.study import StudyMethod, StudySpec, StudyStrategy

__all__ = [
    "BEHAVIOURS",
    "FLAGS",
    "FLAG_VALUES",
    "SPLITS",
    "TEMPLATES",
    "Asked",
    "Budget",
    "Evaluation",
    "EvaluationProtocol",
    "EvaluationSpec",
    "Example",
    "Frozen",
    "HeldOut",
    "Measure",
    "Mix",
    "NormalText",
    "Panel",
    "Params",
    "Pool",
    "Reason",
    "Recipe",
    "RepairSpec",
    "Reporter",
    "Rows",
    "Seed",
    "Selection",
    "SemDedup",
    "Silent",
    "StudyMethod",
    "StudySpec",
    "StudyStrategy",
    "Template",
    "examples",
    "settings",
]
