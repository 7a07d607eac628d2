"""Repair a language model with the chosen examples: objective x scope, one small file per method.

Adding a method is adding one file to `methods/`; nothing else changes.
"""

from __future__ import annotations

from core.repair.base import METHODS, MethodSpec, RepairParams
from core.repair.repair import repair
from core.repair.results import RepairResult

__all__ = ["METHODS", "MethodSpec", "RepairParams", "RepairResult", "repair"]
