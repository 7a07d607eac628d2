"""What a toxicity scorer is to the rest of the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.values import Reporter, Silent


class Scorer(Protocol):
    """An opened scorer. Scores of two scorers are not comparable: `name` and `hash` go with every number."""

    @property
    def name(self) -> str:
        """What tables call it, e.g. "demo", "lab" or "detoxify original"."""

    @property
    def hash(self) -> str:
        """Names its weights and settings."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, one column each; "toxicity" is among them."""

    def score(
        self, texts: Sequence[str], reporter: Reporter = Silent(), batch: int = 64
    ) -> NDArray[np.float32]:
        """(n, L) in [0, 1], higher is more of that class; each class is a probability of its own."""

    def toxicity(self, texts: Sequence[str], reporter: Reporter = Silent()) -> NDArray[np.float32]:
        """(n,) the class "toxicity", higher is more toxic."""
