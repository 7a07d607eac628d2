"""Pools on disk: `WORKSPACE/pools/NAME/` with pool.parquet, bad_rows.jsonl and a manifest written last."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import BadInput, StorageError, UnknownName
from core.pool.build import DERIVED, NORMALISED, Built
from core.pool.mapping import Mapping, near
from core.pool.read import BadRow
from core.values import Frozen, Pool
from core.workspace import (
    Workspace,
    atomic_folder,
    read_json,
    safe_name,
    write_bytes,
    write_json,
    write_parquet,
)

FOLDER = "pools"
NEEDED = {"rows", "fingerprint", "split_hash", "counts", "origin", "created"}  # of a manifest


class PoolSummary(Frozen):
    """A stored pool without its rows."""

    name: str
    rows: int
    fingerprint: str
    counts: dict[str, int]
    origin: str
    created: str  # UTC
    shipped: bool  # comes with Winnow and cannot be changed


def save_pool(ws: Workspace, built: Built, mapping: Mapping, origin: str, *, replace: bool = False) -> Path:
    """Store the pool under its name, whole or not at all; the folder it lies in.

    Storing the same rows again changes nothing. Other rows, or another split, under a name that is taken need
    `replace`: BadInput otherwise.
    """
    pool = built.pool
    folder = ws.path(FOLDER, safe_name(pool.name, "pool name"))
    with ws.lock(f"pool-{pool.name}"):
        there = ws.find(FOLDER, pool.name, "manifest.json")
        if there is not None and not replace:  # on purpose it is written anew, even over a damaged one
            manifest = _read_manifest(there.parent)
            if (manifest["fingerprint"], manifest["split_hash"]) == (pool.fingerprint, pool.split_hash):
                return there.parent
            differs = "other rows" if manifest["fingerprint"] != pool.fingerprint else "another split"
            raise BadInput(
                f"there is a pool {pool.name!r} already, with {differs} ({manifest['rows']:,} from "
                f"{manifest['origin']}); choose another name, or replace it on purpose (--replace). "
                "Nothing was changed."
            )
        with atomic_folder(folder, alone=True) as part:
            write_parquet(part / "pool.parquet", pool.frame)
            lines = "".join(row.model_dump_json() + "\n" for row in built.bad)
            write_bytes(part / "bad_rows.jsonl", lines.encode())
            write_json(part / "manifest.json", _manifest(built, mapping, origin))
    return folder


def _manifest(built: Built, mapping: Mapping, origin: str) -> dict[str, Any]:
    return {
        "name": built.pool.name,
        "rows": len(built.pool),
        "fingerprint": built.pool.fingerprint,
        "split_hash": built.pool.split_hash,
        "split_seed": built.split_seed,
        "fractions": list(built.fractions),
        "origin": origin,
        "mapping": mapping.model_dump(mode="json"),
        "counts": built.counts,
        "notes": list(built.notes),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def list_pools(ws: Workspace) -> list[PoolSummary]:
    """All whole pools by name, the shipped ones included."""
    return [_summary(ws, folder) for _, folder in sorted(ws.folders(FOLDER).items())]


def _summary(ws: Workspace, folder: Path) -> PoolSummary:
    manifest = _read_manifest(folder)
    kept = {name: manifest[name] for name in ("rows", "fingerprint", "counts", "origin", "created")}
    return PoolSummary(name=folder.name, shipped=not folder.is_relative_to(ws.root), **kept)


def _folder(ws: Workspace, name: str) -> Path:
    folder = ws.folders(FOLDER).get(name)
    if folder is None:
        known = list(ws.folders(FOLDER))
        hint = (
            near(name, known) if known else "import one first (python -m core pool import FILE --name NAME)"
        )
        raise UnknownName(f"the workspace has no pool named {name!r}; {hint}")
    return folder


def read_manifest(ws: Workspace, name: str) -> dict[str, Any]:
    """How a stored pool came to be: origin, mapping, split, counts, notes."""
    return _read_manifest(_folder(ws, name))


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not manifest.keys() >= NEEDED:
        raise StorageError(
            f"{path} is damaged: it is no pool's manifest; import the pool again with --replace"
        )
    return manifest


def bad_rows(ws: Workspace, name: str) -> list[BadRow]:
    """The rows of the source that are not in the pool, in file order."""
    path = _folder(ws, name) / "bad_rows.jsonl"
    if not path.is_file():
        return []
    return [BadRow.model_validate_json(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def load_pool(ws: Workspace, name: str) -> Pool:
    """The stored pool; UnknownName when there is none, StorageError when its file is damaged."""
    folder = _folder(ws, name)
    manifest = _read_manifest(folder)
    path = folder / "pool.parquet"
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are both
        raise StorageError(
            f"{path} cannot be read ({error}); import the pool again with --replace"
        ) from error
    if missing := sorted({*NORMALISED, *DERIVED} - set(frame.columns)):
        raise StorageError(
            f"{path} lacks the columns {', '.join(missing)}; import the pool again with --replace"
        )
    if len(frame) != manifest["rows"]:
        raise StorageError(
            f"{path} holds {len(frame):,} rows, its manifest says {manifest['rows']:,}; import the pool "
            "again with --replace"
        )
    lists = pd.Series([[str(c) for c in row] for row in frame["category"]], dtype=object)
    return Pool(name, frame.assign(category=lists), manifest["fingerprint"], manifest["split_hash"])
