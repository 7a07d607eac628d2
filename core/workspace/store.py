"""The workspace folder: one place to write, and the shipped demo as a read-only layer below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import StorageError
from core.workspace.files import possible, storage_errors
from core.workspace.signals import SignalStore

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "assets" / "demo"
LONGEST_NAME = 255  # bytes, on every common file system


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
        if os.path.isfile(folder):
            raise StorageError(
                f"{folder} is a file; a workspace is a folder, choose another with --workspace"
            )
        with storage_errors(folder / "x"), possible(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return Workspace(folder, shipped)

    def path(self, *parts: str) -> Path:
        """A path inside the workspace, for writing; a part that would leave it is refused."""
        path = self.root.joinpath(*parts)
        if any("\0" in part or len(part.encode(errors="replace")) > LONGEST_NAME for part in path.parts):
            raise StorageError(
                f"{'/'.join(parts)[:80]!r} is no name that a file can have; take a shorter, plain one"
            )
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
        """Name -> folder of everything whole (its manifest exists) below `kind`; the workspace's own win.

        Hidden ones are what a killed process left behind, half-made or about to be removed.
        """
        found: dict[str, Path] = {}
        for base in filter(None, (self.shipped, self.root)):
            if (base / kind).is_dir():
                inside = sorted(p for p in (base / kind).iterdir() if not p.name.startswith("."))
                found |= {p.name: p for p in inside if (p / manifest).is_file()}
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
            with storage_errors(folder / name):
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
