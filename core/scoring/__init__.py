"""Give each example a number: how toxic, how long, how hard for the model."""

from core.scoring.base import SCORES, ScoreSpec, score

__all__ = ["SCORES", "ScoreSpec", "score"]
