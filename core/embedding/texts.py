"""Embeds a list of texts: each distinct text once, longest first, resumable after an interruption."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.embedding.base import ENCODERS, Encoder, encoder_hash, read_params
from core.errors import BrokenContract
from core.values import Params, Reporter, Silent
from core.workspace import content_key, read_json, write_json
from core.workspace.files import storage_errors

CHUNK = 128  # texts between two saves: about a second on a CPU, so a stop loses no more than that


def embed(
    texts: Sequence[str],
    encoder: str,
    params: Params | Mapping[str, Any] | None = None,
    *,
    scratch: Path,
    device: str = "cpu",
    reporter: Reporter = Silent(),
) -> NDArray[np.float32]:
    """(n, d) float32: row i is the unit vector of text i, or zeros where the text is empty.

    `scratch` is a folder for the half-done work (values.npy, done.json): called again with the same texts and
    encoder, the work goes on where it stopped; with others it starts anew.
    """
    spec = ENCODERS[encoder]
    settings = read_params(spec, params)
    distinct, row_of = _distinct(texts)
    opened = spec.open(settings, device)
    rows = np.zeros((len(texts), opened.dim), dtype=np.float32)
    if distinct:
        key = content_key([encoder_hash(encoder, settings), opened.dim, _digest(distinct)])
        filled = row_of >= 0
        rows[filled] = _encode(distinct, opened, scratch, key, reporter)[row_of[filled]]
    return rows


def _distinct(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct non-empty texts, longest first, and for each text its row among them (-1: empty).

    Texts of like length share a batch, so little is padded; the longest come first, so that a lack of memory
    shows at once and the remaining time errs on the safe side.
    """
    seen = {t for t in texts if t.strip()}
    distinct = sorted(seen, key=lambda t: (-len(t), t))
    index = {t: i for i, t in enumerate(distinct)}
    return distinct, np.array([index.get(t, -1) for t in texts], dtype=np.int64)


def _digest(texts: list[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _encode(
    texts: list[str], encoder: Encoder, scratch: Path, key: str, reporter: Reporter
) -> NDArray[np.float32]:
    """(u, d) vectors of the texts, written to a memory-mapped file chunk by chunk."""
    scratch.mkdir(parents=True, exist_ok=True)
    values, done = _resume(scratch, key, (len(texts), encoder.dim))
    reporter.progress(done, len(texts), "texts embedded")
    while done < len(texts):
        chunk = texts[done : done + CHUNK]
        vectors = encoder.encode(chunk)
        if vectors.shape != (len(chunk), encoder.dim) or not np.isfinite(vectors).all():
            raise BrokenContract(
                f"an encoder must return finite ({len(chunk)}, {encoder.dim}), got {vectors.shape}"
            )
        values[done : done + len(chunk)] = vectors
        values.flush()  # before done.json: what it counts must be on the disk
        done += len(chunk)
        write_json(scratch / "done.json", {"key": key, "done": done})
        reporter.progress(done, len(texts), "texts embedded")
    return values


def _resume(
    scratch: Path, key: str, shape: tuple[int, int]
) -> tuple[np.memmap[Any, np.dtype[np.float32]], int]:
    """The scratch array and how many of its rows are done; a new one if it belongs to other work."""
    state, file = scratch / "done.json", scratch / "values.npy"
    if state.is_file() and file.is_file():
        kept = read_json(state)
        if kept.get("key") == key:
            return np.lib.format.open_memmap(file, mode="r+"), int(kept["done"])
    state.unlink(missing_ok=True)
    with storage_errors(file):
        values = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
        if hasattr(os, "posix_fallocate"):  # a full disk shows here; later it would be a crash
            with file.open("r+b") as handle:
                os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    return values, 0
