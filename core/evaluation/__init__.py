"""What a model does, measured: toxicity of continuations, perplexity, refusals, the trade-off."""

from core.evaluation.assess import Results, evaluate
from core.evaluation.metrics.composite import composites
from core.evaluation.metrics.requests import NEVER_REFUSES, Request, by_request_category, never_refuses
from core.evaluation.protocols import PROTOCOLS
from core.evaluation.tradeoff import BASE, TradePoint, differences, pareto_front, points, unlike
from core.evaluation.units import Units, per_unit

__all__ = [
    "BASE",
    "NEVER_REFUSES",
    "PROTOCOLS",
    "Request",
    "Results",
    "TradePoint",
    "Units",
    "by_request_category",
    "composites",
    "differences",
    "evaluate",
    "never_refuses",
    "pareto_front",
    "per_unit",
    "points",
    "unlike",
]
