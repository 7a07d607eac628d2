"""Signals: something known per example of a pool, stored once under a key naming all it depends on."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.values import Frozen
from core.workspace.files import atomic_folder, content_key, read_json, write_json

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "transformers",
    "sentence-transformers",
    "umap-learn",
    "hdbscan",
)


class SignalKey(Frozen):
    """Everything a signal depends on; its digest is the folder's name."""

    stage: str  # embedding, projection, clustering, labelling, scoring
    method: str
    params: dict[str, Any] = {}
    pool: str = ""  # fingerprint
    model: str = ""  # hash of model, tokenizer and adapter
    scorer: str = ""  # hash of the scorer
    inputs: dict[
        str, str
    ] = {}  # role -> digest of the signal or fingerprint of the reference it was made from
    template: str = ""
    dtype: str = "float32"
    version: int = 1  # raised by the plugin when its code changes what it returns

    @property
    def digest(self) -> str:
        """Short content hash of all fields."""
        return content_key(self)


@dataclass(frozen=True)
class Signal:
    """A stored signal: its key, its folder and how it was made; arrays are read when asked for."""

    key: SignalKey
    folder: Path
    manifest: Mapping[str, Any]

    def array(self, name: str = "values") -> NDArray[Any]:
        """The array `name`, memory-mapped and read-only; row i belongs to row i of the pool."""
        empty = 0 in self.manifest["shapes"][name]  # an empty file cannot be mapped
        values: NDArray[Any] = np.load(
            self.folder / f"{name}.npy", mmap_mode=None if empty else "r", allow_pickle=False
        )
        return values

    @property
    def facts(self) -> dict[str, Any]:
        """Small extra results (keywords, noise share, trustworthiness...)."""
        return dict(self.manifest["facts"])


def peak_bytes() -> int:
    """Peak resident memory of this process so far, in bytes.

    Linux counts it per program: getrusage's number begins with that of the process it was forked from.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        high = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(high.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def library_versions() -> dict[str, str]:
    """Versions of the libraries that can change a number."""
    return {name: version(name) for name in LIBRARIES}


@dataclass(frozen=True)
class SignalStore:
    """Signals on disk: `STAGE/DIGEST/`; written under `root`, looked up there and in the read-only layers."""

    root: Path
    below: tuple[Path, ...] = ()

    def get(self, key: SignalKey) -> Signal | None:
        """The stored signal, or None; a folder without its manifest is unfinished and does not count."""
        for base in (self.root, *self.below):
            folder = base / key.stage / key.digest
            if (folder / "manifest.json").is_file():
                return Signal(key, folder, read_json(folder / "manifest.json"))
        return None

    def scratch(self, key: SignalKey) -> Path:
        """A folder that survives an interrupted making of `key`, so that it can go on where it stopped."""
        folder = self.making(key)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def making(self, key: SignalKey) -> Path:
        """Where that folder is, or would be."""
        return self.root / key.stage / f".{key.digest}.making"

    def put(
        self, key: SignalKey, arrays: Mapping[str, NDArray[Any]], *, facts: Mapping[str, Any], started: float
    ) -> Signal:
        """Store the arrays with a manifest that says how they were made; `started` is time.perf_counter()."""
        folder = self.root / key.stage / key.digest
        manifest = {
            "key": key.model_dump(mode="json"),
            "facts": dict(facts),
            "shapes": {name: list(a.shape) for name, a in arrays.items()},
            "seconds": round(time.perf_counter() - started, 3),
            "peak_bytes": peak_bytes(),
            "libraries": library_versions(),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with atomic_folder(folder) as part:
            for name, values in arrays.items():
                np.save(part / f"{name}.npy", values, allow_pickle=False)
            write_json(part / "manifest.json", manifest)
        shutil.rmtree(self.making(key), ignore_errors=True)
        return Signal(key, folder, read_json(folder / "manifest.json"))
