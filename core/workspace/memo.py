"""Numbers worth remembering beyond one run: short arrays under a key, in one SQLite file without pickle.

A memo saves work and decides nothing: whatever is wrong with its file, the work is done as if it were empty.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

log = logging.getLogger("winnow.memo")

STORED = np.dtype("<f8")  # what the bytes are, on every machine
BUSY_S = 5.0  # wait for another writer; longer than that, doing the work again is as good
CHUNK = 500  # keys of one question: older SQLite takes 999 at most
TABLE = "CREATE TABLE IF NOT EXISTS memo (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"


class Memo:
    """Key -> array of float64, (k,); any number of processes may share the file, threads the object.

    What is bound to a model or a scorer names it in the file's name or in the keys. A file that is damaged,
    locked for long or on a full disk is a miss and a warning in the log, never an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, keys: Sequence[str]) -> list[NDArray[np.float64] | None]:
        """The array of each key, in the order asked, bit for bit as it was put in; None where unknown."""
        found: dict[str, bytes] = {}
        asked = list(dict.fromkeys(keys))
        with self._never_an_error("read"):
            if self.path.exists():
                with closing(self._open()) as database:
                    for start in range(0, len(asked), CHUNK):
                        part = asked[start : start + CHUNK]
                        question = f"SELECT key, value FROM memo WHERE key IN ({','.join('?' * len(part))})"
                        found.update(database.execute(question, part))
        return [_array(found.get(key)) for key in keys]

    def put(self, keys: Sequence[str], values: Sequence[ArrayLike]) -> None:
        """Remember these, all or none; a key known already takes the new array."""
        rows = [
            (key, np.asarray(value, dtype=STORED).tobytes()) for key, value in zip(keys, values, strict=True)
        ]
        if not rows:
            return
        with self._never_an_error("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._open()) as database:  # closing takes an unfinished transaction back
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")  # a power cut loses the last ones, no more
                database.execute(TABLE)
                database.execute("BEGIN IMMEDIATE")
                database.executemany("INSERT OR REPLACE INTO memo VALUES (?, ?)", rows)
                database.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)

    @contextmanager
    def _never_an_error(self, what: str) -> Iterator[None]:
        """Whatever the file or the disk says ends the block early, told in the log."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            log.warning(
                "%s cannot be %s (%s): the work is done again instead; remove the file if this goes on",
                self.path,
                what,
                error,
            )


def _array(stored: bytes | None) -> NDArray[np.float64] | None:
    """The array of the stored bytes, a fresh one; None where they are no floats."""
    if not isinstance(stored, bytes) or len(stored) % STORED.itemsize:
        return None
    return np.frombuffer(stored, dtype=STORED).astype(np.float64)
