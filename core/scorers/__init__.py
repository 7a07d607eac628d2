"""Text in, numbers out: toxicity scorers built with detoxify, and a keyword test for refusals."""

from core.scorers.base import Scorer
from core.scorers.refusal import is_refusal
from core.scorers.sources import load_scorer, scorer_hash

__all__ = ["Scorer", "is_refusal", "load_scorer", "scorer_hash"]
