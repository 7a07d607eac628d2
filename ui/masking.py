"""Hide harmful words before anything is sent: rows not known to be benign keep first letters only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.values import Pool, Rows

SHORTEST = 4  # letters; shorter words stay, so that a masked sentence keeps its shape
BENIGN_BELOW = 0.2  # stored toxicity
DOT = "•"

# Invisible characters would cut a word into harmless pieces; vowel signs and accents belong to their word.
INVISIBLE = dict.fromkeys(
    [0x00AD, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065)]
)
MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e"
)
WORD = re.compile(rf"\w[\w{MARKS}]*(?:['\u2019][\w{MARKS}]+)*")


def mask(text: str) -> str:
    """The text with every word of four letters or more cut to its first letter and dots; numbers stay."""
    return WORD.sub(_shorten, unicodedata.normalize("NFC", text).translate(INVISIBLE))


def _shorten(found: re.Match[str]) -> str:
    word = found.group()
    letters = sum(c.isalnum() or c == "_" for c in word)
    if letters < SHORTEST or not any(c.isalpha() for c in word):
        return word
    return word[0] + DOT * (len(word) - 1)


def benign(
    pool: Pool,
    toxicity: NDArray[np.floating] | None,
    rejected: NDArray[np.floating] | None = None,
    prompt: NDArray[np.floating] | None = None,
) -> NDArray[np.bool_]:
    """Rows known to be harmless, (n,): toxicity below 0.2, no harm category, nothing flagged or unscored.

    `toxicity` is the stored score of the row's answer, `rejected` that of its rejected side, both (n,) with
    NaN where unknown; unknown is never benign. A row with both sides needs both scores. Where the prompt was
    scored too (`prompt`), a toxic one hides the row as well.
    """
    frame = pool.frame
    if toxicity is None:
        return np.zeros(len(pool), dtype=bool)
    quiet = np.asarray(toxicity) < BENIGN_BELOW  # NaN compares false
    quiet &= np.fromiter((len(c) == 0 for c in frame["category"]), dtype=bool, count=len(pool))
    for flag in ("harmful_request", "harmful_response"):
        quiet &= (frame[flag] != "yes").to_numpy()
    if prompt is not None:
        quiet &= ~(np.asarray(prompt) >= BENIGN_BELOW)
    both = ((frame["response"] != "") & (frame["rejected"] != "")).to_numpy()
    scored = np.zeros(len(pool), dtype=bool) if rejected is None else np.asarray(rejected) < BENIGN_BELOW
    safe: NDArray[np.bool_] = quiet & (~both | scored)
    return safe


@dataclass(frozen=True)
class Mask:
    """Which rows of one pool may be shown as they are, and whether the session's reveal switch is on."""

    safe: NDArray[np.bool_]  # (n,)
    revealed: bool = False

    def text(self, text: str, row: int) -> str:
        """One text of row `row`, masked unless the row is benign or the switch is on."""
        return text if self.revealed or self.safe[row] else mask(text)

    def texts(self, texts: Iterable[str], rows: Sequence[int] | Rows) -> list[str]:
        """The texts of `rows`, in that order."""
        return [self.text(str(t), int(r)) for t, r in zip(texts, rows, strict=True)]

    def words(self, words: Sequence[str], rows: Sequence[int] | Rows) -> list[str]:
        """Keywords drawn from `rows`: plain only when every one of those rows may be shown."""
        shown = self.revealed or bool(self.safe[np.asarray(rows, dtype=np.int64)].all())
        return list(words) if shown else [mask(w) for w in words]

    def line(self, text: str) -> str:
        """A text of no particular row (a log line): masked unless the switch is on."""
        return text if self.revealed else mask(text)
