"""What a scorer says of texts, each distinct text asked once, and remembered beyond the run by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.values import Reporter, Silent
from core.workspace import Memo

if TYPE_CHECKING:
    from core.scorers import Scorer

Floats = NDArray[np.float64]

PART = 1024  # texts asked before they are remembered: a kill loses no more; whole batches of a scorer


def label_scores(
    texts: Sequence[str], scorer: Scorer, reporter: Reporter = Silent(), memo: Memo | None = None
) -> Floats:
    """All labels of every text, (n, L); an empty text has none: NaN, never 0.

    `memo` belongs to this very scorer. What it holds is not asked again; its numbers are the scorer's own,
    bit for bit. (Asked in other batches a network rounds otherwise, about 1e-7: with a memo a text keeps the
    number it was given first.)
    """
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    known = dict(zip(distinct, _remembered(distinct, scorer, memo), strict=True))
    unknown = sorted((t for t in distinct if known[t] is None), key=lambda t: (-len(t), t))
    for start in range(0, len(unknown), PART):
        part = unknown[start : start + PART]
        found = np.asarray(scorer.score(part, _Part(reporter, start, len(unknown))), dtype=np.float64)
        known.update(zip(part, found, strict=True))
        if memo is not None:
            sound = [(t, row) for t, row in zip(part, found, strict=True) if np.isfinite(row).all()]
            memo.put([text_hash(text) for text, _ in sound], [row for _, row in sound])
    nothing = np.full(len(scorer.labels), np.nan)
    rows = [known.get(text) for text in texts]
    table = [nothing if row is None else row for row in rows]
    return np.array(table, dtype=np.float64).reshape(len(texts), len(scorer.labels))


def text_hash(text: str) -> str:
    """Names a text in a memo."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _remembered(texts: Sequence[str], scorer: Scorer, memo: Memo | None) -> list[Floats | None]:
    if memo is None:
        return [None] * len(texts)
    found = memo.get([text_hash(text) for text in texts])
    return [row if row is not None and len(row) == len(scorer.labels) else None for row in found]


class _Part(Silent):
    """Tells the progress of one part as that of the whole."""

    def __init__(self, outer: Reporter, before: int, total: int) -> None:
        self.outer, self.before, self.total = outer, before, total

    def progress(self, done: int, total: int, what: str) -> None:
        self.outer.progress(self.before + done, self.total, what)
