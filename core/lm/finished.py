"""Continuations that are finished, kept in a file that a killed process leaves behind for the next one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from core.workspace.files import storage_errors

Row = tuple[int, int]  # number of the prompt, number of the sample


class Finished:
    """One line of json per batch; a line is whole or, where a kill or a full disk cut it, dropped.

        with Finished(folder, identity) as finished:
            texts = finished.take(rows)
            if texts is None:
                finished.add(rows, texts := compute(rows))

    `identity` names all that decides the texts, and the file. Without a folder nothing is kept. Batches are
    taken up whole: the same rows run together again, so that not even rounding differs from a run in one go.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self._path = folder / f"continuations-{identity}.jsonl" if folder else None
        self._texts: dict[Row, str] = {}
        self._file: IO[bytes] | None = None

    def take(self, rows: Sequence[Row]) -> list[str] | None:
        """The texts of these rows if all are there."""
        found = [self._texts.get(row) for row in rows]
        return None if None in found else [text for text in found if text is not None]

    def add(self, rows: Sequence[Row], texts: Sequence[str]) -> None:
        """Keep these; they survive a kill of this process from here on."""
        if self._file is None or self._path is None:
            return
        line = json.dumps([[*row, text] for row, text in zip(rows, texts, strict=True)])
        with storage_errors(self._path):
            self._file.write(line.encode() + b"\n")
            self._file.flush()

    def __enter__(self) -> Finished:
        if self._path is not None:
            with storage_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("a+b")
                self._file.seek(0)
                self._file.truncate(self._read(self._file.read()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._path is not None:
            with storage_errors(self._path):
                self._file.close()

    def _read(self, data: bytes) -> int:
        """Take up every whole line; returns how many bytes of `data` they are."""
        good = 0
        for line in data.splitlines(keepends=True):
            try:
                rows = {(int(n), int(d)): str(text) for n, d, text in json.loads(line)}
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            self._texts.update(rows)
            good += len(line)
        return good
