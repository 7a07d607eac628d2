"""Text in, numbers out: toxicity scorers, judges of answers, a keyword test for refusals."""

from core.scorers.base import Scorer
from core.scorers.judge import Judge, load_judge, split_judge
from core.scorers.refusal import is_refusal
from core.scorers.sources import load_scorer, scorer_hash

__all__ = ["Judge", "Scorer", "is_refusal", "load_judge", "load_scorer", "scorer_hash", "split_judge"]
