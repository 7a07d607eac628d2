"""What a model does, measured: toxicity of continuations, perplexity of held-out text, the trade-off."""

from core.evaluation.assess import Results, evaluate
from core.evaluation.metrics.composite import composites
from core.evaluation.protocols import PROTOCOLS
from core.evaluation.tradeoff import BASE, TradePoint, differences, pareto_front, points
from core.evaluation.units import Units, per_unit

__all__ = [
    "BASE",
    "PROTOCOLS",
    "Results",
    "TradePoint",
    "Units",
    "composites",
    "differences",
    "evaluate",
    "pareto_front",
    "per_unit",
    "points",
]
