"""A first map while texts are still being embedded: a sample is drawn, the others are placed among it."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import projection
from core.pipeline.requests import SPACES, SignalRequest, inputs_of, key_of
from core.values import Pool, Rows
from core.workspace import Workspace, write_bytes

FILE = "preview.npy"


class Preview:
    """Watches an embedding (core.embedding.Watch) and keeps `preview.npy` in its scratch folder.

    The file is (n, 2) float32, NaN for rows not placed yet; it goes with the folder when the signal is
    stored. Texts are embedded in random order, so the first of them stand for all.
    """

    def __init__(
        self,
        folder: Path,
        *,
        first: int = 2_000,
        every: float = 5.0,
        least: float = 60.0,
        share: float = 0.05,
    ) -> None:
        """Draw a map of the first `first` texts if `least` seconds of work remain, then add to it.

        It is added to no more often than every `every` seconds, and in no more than `share` of the time.
        """
        self._folder, self._first, self._every, self._least = folder, first, every, least
        self._share = share
        self._began: tuple[float, int] | None = None  # when, and how many vectors were there
        self._next = 0.0
        self._xy: NDArray[np.float32] | None = None  # (done, 2), in the order of work

    def __call__(self, vectors: NDArray[np.float32], place: Rows) -> None:
        """Look at the (done, d) vectors so far; `place` (n,) is each row's place among all, -1 for none."""
        now = time.monotonic()
        if self._began is None:
            self._began = now, len(vectors)
        if len(vectors) < self._first or now < self._next:
            return
        if self._xy is None:
            if self._remaining(now, len(vectors), int(place.max()) + 1) < self._least:
                return
            method, params = SPACES["map"]
            self._xy = projection.project(method, vectors[: self._first], params)
        now = time.monotonic()  # the drawing itself happens once
        self._add(vectors)
        self._write(place)
        done = time.monotonic()
        self._next = done + max(self._every, (done - now) / self._share)

    def _remaining(self, now: float, done: int, total: int) -> float:
        assert self._began is not None
        began, before = self._began
        return (now - began) / max(done - before, 1) * (total - done)

    def _add(self, vectors: NDArray[np.float32]) -> None:
        """Place what is new amid its nearest of the drawn ones."""
        assert self._xy is not None
        new, drawn = vectors[len(self._xy) :], slice(0, self._first)
        self._xy = np.concatenate([self._xy, projection.place(new, vectors[drawn], self._xy[drawn])])

    def _write(self, place: Rows) -> None:
        assert self._xy is not None
        xy = np.full((len(place), 2), np.nan, dtype=np.float32)
        known = (place >= 0) & (place < len(self._xy))
        xy[known] = self._xy[place[known]]
        buffer = io.BytesIO()
        np.save(buffer, xy, allow_pickle=False)
        write_bytes(self._folder / FILE, buffer.getvalue())


def find_preview(ws: Workspace, request: SignalRequest, pool: Pool) -> NDArray[np.float32] | None:
    """(n, 2) positions so far (NaN: not yet) of the embedding that a map is made from, or None."""
    vectors = inputs_of(request).get("vectors", request)
    try:
        found = np.load(ws.signals.making(key_of(ws, vectors, pool)) / FILE, allow_pickle=False)
    except FileNotFoundError:  # not begun, or stored a moment ago
        return None
    return np.asarray(found, dtype=np.float32) if found.shape == (len(pool), 2) else None
