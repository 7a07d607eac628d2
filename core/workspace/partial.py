"""Half-done work: an array filled row after row, in a folder that lets a later process go on with it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from core.errors import StorageError
from core.workspace.files import read_json, storage_errors, write_json

SECONDS = 1.0  # between two saves: a killed process loses no more work than that, and saving costs nothing


class Partial:
    """`values`, of which the first `done` rows are made; the order of the rows is the caller's.

        with Partial(folder, key, (n, d), np.float32) as work:
            while work.done < n:
                work.advance(compute(rows[work.done : work.done + CHUNK]))

    `key` names all that decides the values, their order included: other work found in the folder is dropped.
    Leaving the block saves, also by an error or a stop. Without a folder all stays in memory. A full disk is
    a StorageError at the start.
    """

    def __init__(self, folder: Path | None, key: str, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.values: NDArray[Any]
        self.done = 0
        self._folder = folder if 0 not in shape else None  # an empty file cannot be mapped
        self._key = key
        self._saved = 0  # rows that survive a kill
        self._last = time.monotonic()
        if self._folder is None:
            self.values = np.zeros(shape, dtype)
        elif not self._resume(self._folder, shape, np.dtype(dtype)):
            self._begin(self._folder, shape, np.dtype(dtype))

    def advance(self, rows: NDArray[Any]) -> None:
        """Put in the next `len(rows)` rows."""
        self.values[self.done : self.done + len(rows)] = rows
        self.done += len(rows)
        if time.monotonic() - self._last >= SECONDS:
            self.save()

    def save(self) -> None:
        """Make what is done survive a kill."""
        if isinstance(self.values, np.memmap) and self._folder and self.done > self._saved:
            with storage_errors(self._folder / "values.npy"):
                self.values.flush()  # before done.json: what it counts must be on the disk
            write_json(self._folder / "done.json", {"key": self._key, "done": self.done})
            self._saved = self.done
        self._last = time.monotonic()

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()

    def _resume(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
        """Whether the folder held this very work, whole enough to go on with; then it is opened."""
        try:
            kept = read_json(folder / "done.json")
            if kept["key"] != self._key:
                return False
            np.lib.format.open_memmap(folder / "values.npy", mode="r")  # too short: "r+" would lengthen it
            values = np.lib.format.open_memmap(folder / "values.npy", mode="r+")
            done = int(kept["done"])
        except (StorageError, OSError, ValueError, KeyError, TypeError):  # absent or damaged: begin anew
            return False
        if values.shape != shape or values.dtype != dtype or not 0 <= done <= shape[0]:
            return False
        self.values, self.done, self._saved = values, done, done
        return True

    def _begin(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        file = folder / "values.npy"
        with storage_errors(file):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "done.json").unlink(missing_ok=True)  # first: it must never count other work's rows
            self.values = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
            if hasattr(os, "posix_fallocate"):  # a full disk shows here; later it would be a crash
                with file.open("r+b") as handle:
                    os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
