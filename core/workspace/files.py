"""Whole files or none: atomic writes, content keys and hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError

from core.errors import BadInput, StorageError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
CHUNK = 1 << 20
WORDS_OF_FULL = re.compile(r"\d+ requested and \d+ written|os error (28|122)")  # numpy's, safetensors'
FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EACCES, errno.EROFS, errno.EPERM)
NO_PLACE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)

Kind = TypeVar("Kind", bound=BaseModel)


def safe_name(name: str, what: str = "name") -> str:
    """The name itself, if it can be a folder's name and nothing else (no path, no hidden file)."""
    if not NAME.fullmatch(name) or ".." in name:
        raise BadInput(
            f"{what} {name!r} cannot be used: take letters, digits, '-', '_' and '.', beginning with a "
            "letter or digit, 80 characters at most"
        )
    return name


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn what the disk says into a sentence the user can act on."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        folder = next(p for p in target.parents if not p.name.startswith("."))  # not one still in the making
        if number in FULL or WORDS_OF_FULL.search(str(error)):
            raise StorageError(
                f"the disk holding {folder} is full; free some space and start again. What was "
                "already stored is untouched."
            ) from error
        if number in DENIED:
            raise StorageError(
                f"{folder} cannot be written ({os.strerror(number)}); choose another workspace with "
                "--workspace or WINNOW_WORKSPACE, or change its permissions."
            ) from error
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """A reader sees the old file or the new one, never half of it; a failed write leaves the old one."""
    with atomic_file(path) as part, part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A new name that becomes `path` when the block ends well; a device or a folder is never replaced."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise StorageError(f"{path} is a folder or a device, not a file to write; give another name")
    with storage_errors(path), possible(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex}.part")
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def possible(path: Path) -> Iterator[None]:
    """StorageError where nothing can be made: below a file, under too long a name."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise StorageError(f"{path} cannot be made ({error.strerror}); give another place") from error


def plain(value: Any) -> Any:
    """The value in terms json knows; pydantic values, tuples, numpy scalars and paths included."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalar or array
        return plain(value.tolist())
    return value


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable json, atomically; floats keep NaN as null."""
    write_bytes(path, (json.dumps(finite(plain(value)), indent=1, ensure_ascii=False) + "\n").encode())


def json_line(value: Any) -> str:
    """`value` as one line of a .jsonl file; floats keep NaN as null."""
    return json.dumps(finite(plain(value)), ensure_ascii=False) + "\n"


def finite(value: Any) -> Any:
    """The plain value with null for every number that json does not know."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [finite(v) for v in value]
    return value


def read_json(path: Path) -> Any:
    """The json file's value; a broken file is a StorageError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read as json ({error}); restore it or remove it") from error


def read_as(kind: type[Kind], path: Path) -> Kind:
    """The stored value of that kind; a file that holds something else is a StorageError that names it."""
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise StorageError(
            f"{path} is damaged or of another version ({where}: {first['msg']}); restore it or remove it"
        ) from error


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as parquet (zstd), atomically."""
    with atomic_file(path) as part:
        frame.to_parquet(part, index=False, compression="zstd")


@contextmanager
def atomic_folder(target: Path, *, alone: bool = False) -> Iterator[Path]:
    """A new empty folder that becomes `target` when the block ends well, and vanishes when it does not.

    An older `target` is replaced only at the end; if somebody else made it meanwhile, theirs is replaced too.
    `alone` says that the caller holds the target's lock: then what killed processes left of it is removed.
    """
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{target.name}.*.part") if alone else ():
            shutil.rmtree(left, ignore_errors=True)
        part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        part.mkdir()
        try:
            yield part
            old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
            if target.exists():
                target.rename(old)
            try:
                part.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def content_key(value: Any, length: int = 16) -> str:
    """Short sha256 of the value's canonical json: equal values, equal keys, on any machine."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def folder_hash(folder: Path, length: int = 16) -> str:
    """sha256 over the names and bytes of all plain, non-hidden files below `folder`, in name order."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
    return digest.hexdigest()[:length]
