"""Groups and splits: rows that share a prompt stay together; the same seed gives the same split anywhere."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.values import SPLITS

GROUP_DIGITS = 12


def text_group(prompt: str, text: str) -> str:
    """A group from the normalised prompt, or from `text` where the prompt is empty (unconditional text)."""
    normal = " ".join((prompt if prompt.strip() else text).lower().split())
    return hashlib.sha256(normal.encode()).hexdigest()[:GROUP_DIGITS]


def check_fractions(fractions: Sequence[float]) -> list[Fraction]:
    """The three shares as exact numbers; BadInput unless they are three, not negative, and sum to 1."""
    exact = [Fraction(str(f)) for f in fractions if math.isfinite(f)]
    if len(exact) != len(SPLITS) or min(exact) < 0 or sum(exact) != 1:
        raise BadInput(
            f"the split fractions {tuple(fractions)} cannot be used; give {', '.join(SPLITS)} as three "
            "numbers from 0 to 1 that sum to 1, such as (0.8, 0.1, 0.1)"
        )
    return exact


def split_sizes(groups: int, fractions: Sequence[float]) -> list[int]:
    """Groups per split by largest remainder; an equal remainder goes to train, then test, then validation."""
    shares = [f * groups for f in check_fractions(fractions)]
    sizes = [int(s) for s in shares]
    by_remainder = sorted((0, 2, 1), key=lambda i: sizes[i] - shares[i])  # stable: ties stay in this order
    for i in by_remainder[: groups - sum(sizes)]:
        sizes[i] += 1
    return sizes


def assign_splits(groups: Sequence[str], seed: int, fractions: Sequence[float]) -> NDArray[np.object_]:
    """(n,) split of each row: groups ranked by sha256("seed:group"), cut where the shares say."""
    ranked = sorted(set(groups), key=lambda g: hashlib.sha256(f"{seed}:{g}".encode()).digest())
    names = np.repeat(SPLITS, split_sizes(len(ranked), fractions))
    split_of = dict(zip(ranked, names.tolist(), strict=True))
    return np.array([split_of[g] for g in groups], dtype=object)
