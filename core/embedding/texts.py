"""Embeds a list of texts: each distinct text once, in random order, in batches of like length, resumable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.embedding.base import ENCODERS, Encoder, encoder_hash, read_params
from core.errors import BrokenContract
from core.values import Params, Reporter, Rows, Silent
from core.workspace import content_key
from core.workspace.partial import Partial

CHUNK = 2_000  # texts sorted by length together: after each, what is embedded is a random sample of all
AT_ONCE = 10_000  # texts tokenised between two looks for a stop
SAMPLE = 32  # texts on which a lower precision is tried; under a second

# Told after every batch: the (done, d) vectors so far in the order of work, and each row's place in it, (n,),
# -1 for a row without text.
Watch = Callable[[NDArray[np.float32], Rows], None]


@dataclass(frozen=True)
class Embedded:
    """Vectors of texts, and how they were made."""

    vectors: NDArray[np.float32]  # (n, d), unit rows; zeros where the text is empty
    facts: dict[str, Any]  # distinct texts, precision, lowest cosine of the sample to float32


def embed(
    texts: Sequence[str],
    encoder: str,
    params: Params | Mapping[str, Any] | None = None,
    *,
    scratch: Path,
    device: str = "cpu",
    reporter: Reporter = Silent(),
    watch: Watch | None = None,
) -> Embedded:
    """The unit vector of every text.

    `scratch` is a folder for the half-done work: called again with the same texts and encoder, the work goes
    on where it stopped and gives the same vectors; with others it starts anew.
    """
    spec = ENCODERS[encoder]
    settings = read_params(spec, params)
    distinct, text_of = _distinct(texts)
    digest = _digest(distinct)
    order = np.random.default_rng(int(digest[:16], 16)).permutation(len(distinct))
    opened = spec.open(settings, device, [distinct[i] for i in order[:SAMPLE]])
    facts = {"distinct_texts": len(distinct)} | dict(opened.facts)
    rows = np.zeros((len(texts), opened.dim), dtype=np.float32)
    if distinct:
        batches = _batches(order, _lengths(distinct, opened, reporter), opened.budget)
        place = _place(batches, text_of)
        # all that decides a value, or where it lies
        made = [encoder_hash(encoder, settings), opened.facts.get("precision"), opened.budget, CHUNK]
        key = content_key([*made, digest])
        with Partial(scratch, key, (len(distinct), opened.dim), np.float32) as work:
            for _ in _encoded(distinct, batches, opened, work, reporter):
                if watch is not None:
                    watch(work.values[: work.done], place)
            rows[place >= 0] = work.values[place[place >= 0]]
    return Embedded(rows, facts)


def _distinct(texts: Sequence[str]) -> tuple[list[str], Rows]:
    """The distinct non-empty texts, sorted, and for each text its row among them (-1: empty)."""
    distinct = sorted({t for t in texts if t.strip()})
    index = {t: i for i, t in enumerate(distinct)}
    return distinct, np.array([index.get(t, -1) for t in texts], dtype=np.int64)


def _digest(texts: list[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _lengths(texts: list[str], encoder: Encoder, reporter: Reporter) -> NDArray[np.int64]:
    found = []
    for start in range(0, len(texts), AT_ONCE):
        reporter.progress(start, len(texts), "texts tokenised")
        found.append(encoder.lengths(texts[start : start + AT_ONCE]))
    return np.concatenate(found)


def _batches(order: Rows, lengths: NDArray[np.int64], budget: int) -> list[Rows]:
    """The texts in `order`, chunk by chunk; in a chunk longest first, in batches of at most `budget` tokens.

    Texts of like length share a batch, so little is padded; the longest come first, so that a lack of memory
    shows at once. Nothing depends on where an earlier run stopped: the last digits of a vector hang on the
    batch it is in.
    """
    batches = []
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        chunk = chunk[np.argsort(-lengths[chunk], kind="stable")]
        while len(chunk):
            size = max(budget // max(int(lengths[chunk[0]]), 1), 1)
            batches.append(chunk[:size])
            chunk = chunk[size:]
    return batches


def _place(batches: list[Rows], text_of: Rows) -> Rows:
    """(n,) place of each row's text in the order of work, -1 for a row without text."""
    work = np.concatenate(batches)
    place = np.empty(len(work), dtype=np.int64)
    place[work] = np.arange(len(work))
    return np.where(text_of >= 0, place[text_of], -1)


def _encoded(
    texts: list[str], batches: list[Rows], encoder: Encoder, work: Partial, reporter: Reporter
) -> Iterator[None]:
    """Fill `work` batch by batch, going on where it stands; yields after each."""
    reporter.progress(work.done, len(texts), "texts embedded")
    start = 0
    for batch in batches:
        if start >= work.done:
            vectors = encoder.encode([texts[i] for i in batch])
            if vectors.shape != (len(batch), encoder.dim) or not np.isfinite(vectors).all():
                raise BrokenContract(
                    f"an encoder must return finite ({len(batch)}, {encoder.dim}), got {vectors.shape}"
                )
            work.advance(vectors)
            reporter.progress(work.done, len(texts), "texts embedded")
            yield
        start += len(batch)
