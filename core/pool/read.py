"""Read csv, jsonl(.gz), parquet or a Hugging Face data set into one table of raw cells with line numbers.

Nothing is interpreted here: a cell is what the file holds (None = null). Lines that are no row at all (broken
json, a csv line with too few cells) are listed as bad rows; the others go on.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.values import Frozen, Rows

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz")
READABLE = "csv, jsonl, jsonl.gz, parquet, or a Hugging Face data set (name or folder)"
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")  # first bytes of a UTF-16 or UTF-32 file
LONGEST_CELL = 2**31 - 1  # csv's own default (131,072) is below the longest text a pool takes


class BadRow(Frozen):
    """One row that cannot be used, and why; `line` counts from 1 (a parquet row's number)."""

    line: int
    id: str = ""
    reason: str


@dataclass(frozen=True)
class RawTable:
    """What a file holds, before any column has a meaning."""

    frame: pd.DataFrame  # raw cells, every column of dtype object, None = null
    lines: Rows  # (n,) line of the file on which each row begins
    bad: list[BadRow]
    origin: str  # short name of the source: part of made ids, and the rows' default `source`
    bars: bool = False  # a cell may hold several values separated by "|" (csv)

    def cells(self, column: str) -> list[Any]:
        """All cells of one column, in row order."""
        return list(self.frame[column])


def read_table(source: str | Path, *, split: str | None = None, config: str | None = None) -> RawTable:
    """Read `source`; `split` and `config` name a part of a Hugging Face data set.

    BadInput when the source cannot be found or read as a whole; single broken lines are listed in `bad`.
    """
    path = Path(source).expanduser()
    if not str(source).strip():
        raise BadInput(f"no source is named; give the path of a file ({READABLE})")
    if os.path.isfile(path):
        if split or config:
            raise BadInput(f"{path.name} is a single file and has no splits; leave the split out")
        return _read_file(path)
    if os.path.isdir(path):
        return _read_dataset(str(path), path.name, split, config)
    if path.suffix.lower() not in SUFFIXES and HUB_NAME.fullmatch(str(source)):
        return _read_dataset(str(source), str(source).rpartition("/")[2], split, config)
    raise BadInput(f"there is no file or folder {source}; give the path of a file ({READABLE})")


def _read_file(path: Path) -> RawTable:
    suffixes = [s.lower() for s in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[-2:-1] if packed else suffixes[-1:] or [""])[0:1]
    origin = path.name.split(".")[0] or path.name
    try:
        if path.stat().st_size == 0:
            raise BadInput(f"{path} is empty (0 bytes); give a file that holds examples")
        if kind == [".parquet"] and not packed:
            return _read_parquet(path, origin)
        data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{path} is not a whole gzip file ({error}); fetch or pack it again") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}); check the file") from error
    if kind in ([".csv"], [".tsv"]):
        return _read_csv(_decode(data, path), path, origin)
    if kind in ([".jsonl"], [".ndjson"], [".json"]):
        return _read_jsonl(_decode(data, path), path, origin)
    raise BadInput(f"{path.name} is of no known type; readable are {READABLE}")


def _decode(data: bytes, path: Path) -> str:
    """The text; bytes that are not UTF-8 become lone surrogates, so that only their rows fail later."""
    if data.startswith(WIDE_MARKS) or b"\0" in data[:4096]:
        raise BadInput(f"{path.name} is not UTF-8 text (it looks like UTF-16 or binary); save it as UTF-8")
    return data.decode("utf-8-sig", errors="surrogateescape")


def _table(columns: dict[str, list[Any]], lines: Sequence[int], bad: list[BadRow], origin: str) -> RawTable:
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    return RawTable(frame, np.asarray(lines, dtype=np.int64), bad, origin)


def _read_jsonl(text: str, path: Path, origin: str) -> RawTable:
    if text.lstrip()[:1] == "[":
        raise BadInput(f"{path.name} is one json list; write one json object per line (jq -c '.[]' does it)")
    rows, lines, bad = [], [], []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 is legal inside json
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = "nested too deep" if isinstance(error, RecursionError) else getattr(error, "msg", error)
            bad.append(BadRow(line=number, reason=f"broken json: {said}"))
            continue
        if not isinstance(row, dict):
            bad.append(BadRow(line=number, reason="not a json object with named fields"))
        elif not all(map(_utf8, row)):
            bad.append(BadRow(line=number, reason="a field's name is not UTF-8 text"))
        else:
            rows.append(row)
            lines.append(number)
    names = dict.fromkeys(name for row in rows for name in row)
    return _table({name: [row.get(name) for row in rows] for name in names}, lines, bad, origin)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift the csv module's limit on a cell's length; it is global there, so it is put back."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _read_csv(text: str, path: Path, origin: str) -> RawTable:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)  # the first of equals: a comma where there is only one column
    with _long_cells():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            header = next(reader)
        except csv.Error as error:
            raise BadInput(
                f"the header of {path.name} is broken ({error}); the first line names the columns"
            ) from error
        _check_header(header, path)
        rows, lines, bad = _csv_rows(reader, len(header))
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    table = _table(columns, lines, bad, origin)
    return RawTable(table.frame, table.lines, bad, origin, bars=True)


def _csv_rows(reader: Any, width: int) -> tuple[list[list[str]], list[int], list[BadRow]]:
    """Rows as wide as the header with the line they begin on; the reader goes on after a broken one."""
    rows: list[list[str]] = []
    lines: list[int] = []
    bad: list[BadRow] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return rows, lines, bad
        except csv.Error as error:
            end = f" (up to line {reader.line_num})" if reader.line_num > line else ""
            bad.append(BadRow(line=line, reason=f"broken quotes{end}: {error}"))
            continue
        if len(row) == width:
            rows.append(row)
            lines.append(line)
        elif row:  # a blank line is no row
            bad.append(BadRow(line=line, reason=f"{len(row)} cells, the header has {width}"))


def _check_header(header: list[str], path: Path) -> None:
    if any(not _utf8(name) for name in header):
        raise BadInput(f"the header of {path.name} is not UTF-8 text; save the file as UTF-8")
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if twice:
        raise BadInput(f"{path.name} has the column {twice[0]!r} twice; give every column its own name")


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_parquet(path: Path, origin: str) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise BadInput(f"{path} cannot be read as parquet ({first}); fetch or write it again") from error
    return _arrow_table(table, origin)


def _arrow_table(table: pa.Table, origin: str) -> RawTable:
    columns = {name: _arrow_cells(table.column(name)) for name in dict.fromkeys(table.column_names)}
    return _table(columns, range(1, table.num_rows + 1), [], origin)


def _arrow_cells(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    try:
        cells: list[Any] = column.to_pylist()
    except UnicodeDecodeError:  # parquet does not check its strings; only the broken rows shall be refused
        raw = column.cast(pa.large_binary()).to_pylist()
        cells = [None if c is None else c.decode("utf-8", errors="surrogateescape") for c in raw]
    return cells


def _read_dataset(name: str, origin: str, split: str | None, config: str | None) -> RawTable:
    import datasets

    local = Path(name).is_dir()
    # A local folder is converted in a cache of its own: no copy of the data stays behind.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        try:
            if any((Path(name) / kept).exists() for kept in ("dataset_info.json", "dataset_dict.json")):
                found = datasets.load_from_disk(name)
            else:
                found = datasets.load_dataset(name, config, cache_dir=cache if local else None)
        except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise BadInput(
                f"the Hugging Face data set {name!r} cannot be loaded: {reason.rstrip('.')}. Check its name, "
                f"its config and the network, or fetch it as a file and import that ({READABLE})"
            ) from error
        if isinstance(found, datasets.DatasetDict):
            found = _one_split(found, name, split)
        return _arrow_table(found.with_format("arrow")[:], origin)


def _one_split(found: dict[str, Any], name: str, split: str | None) -> Any:
    if split is None and len(found) == 1:
        return next(iter(found.values()))
    if split not in found:
        asked = f"has no split {split!r}" if split else "has several splits"
        raise BadInput(
            f"the data set {name!r} {asked}; choose one of {', '.join(found)} with --dataset-split"
        )
    return found[split]
