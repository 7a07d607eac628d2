"""The workspace folder: one place to write, and the shipped demo as a read-only layer below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import StorageError
from core.workspace.files import storage_errors
from core.workspace.signals import SignalStore

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "assets" / "demo"


@dataclass(frozen=True)
class Workspace:
    """`root` is written to; `shipped` (the demo's artefacts, laid out alike) is only read."""

    root: Path
    shipped: Path | None = SHIPPED

    @staticmethod
    def open(root: Path | str | None = None, shipped: Path | None = SHIPPED) -> Workspace:
        """The workspace at `root`, else at WINNOW_WORKSPACE, else ./workspace; made if it is not there."""
        folder = (
            Path(root or os.environ.get("WINNOW_WORKSPACE") or PROJECT / "workspace").expanduser().resolve()
        )
        if folder.exists() and not folder.is_dir():
            raise StorageError(
                f"{folder} is a file; a workspace is a folder, choose another with --workspace"
            )
        with storage_errors(folder / "x"):
            folder.mkdir(parents=True, exist_ok=True)
        return Workspace(folder, shipped)

    def path(self, *parts: str) -> Path:
        """A path inside the workspace, for writing; a part that would leave it is refused."""
        path = self.root.joinpath(*parts)
        if not path.resolve().is_relative_to(self.root):
            raise StorageError(f"{'/'.join(parts)!r} lies outside the workspace {self.root}")
        return path

    def find(self, *parts: str) -> Path | None:
        """The existing file or folder of that name: the workspace's own, else the shipped one, else None."""
        own = self.path(*parts)
        if own.exists():
            return own
        if self.shipped is not None:
            below = self.shipped.joinpath(*parts)
            if below.resolve().is_relative_to(self.shipped.resolve()) and below.exists():
                return below
        return None

    def folders(self, kind: str, manifest: str = "manifest.json") -> dict[str, Path]:
        """Name -> folder of everything whole (its manifest exists) below `kind`; the workspace's own win."""
        found: dict[str, Path] = {}
        for base in filter(None, (self.shipped, self.root)):
            if (base / kind).is_dir():
                found |= {p.name: p for p in sorted((base / kind).iterdir()) if (p / manifest).is_file()}
        return found

    @property
    def signals(self) -> SignalStore:
        """What is known per example, stored once."""
        layers = [self.root / "signals"] + ([self.shipped / "signals"] if self.shipped else [])
        return SignalStore(layers[0], tuple(layers[1:]))

    @contextmanager
    def lock(self, name: str, timeout: float = 30.0) -> Iterator[None]:
        """Hold the lock `name`; a second process waits `timeout` seconds, then gets a sentence."""
        folder = self.path("locks")
        with storage_errors(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=timeout)
        except Timeout as error:
            raise StorageError(
                f"another Winnow process is working on {name!r} in {self.root} and has not finished within "
                f"{timeout:.0f} s; wait for it, or use another workspace. Nothing was changed."
            ) from error
        try:
            yield
        finally:
            lock.release()
