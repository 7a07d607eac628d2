"""A name-to-plugin table that fills itself from the files of one package."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Generic, TypeVar

from core.errors import UnknownName

Spec = TypeVar("Spec")


class Registry(Generic[Spec]):
    """Maps a name to a spec; the name is the file the plugin lives in.

    The package is read on first use, so plugin files may import from the module that
    holds the registry. Listing reads them all: keep torch inside the functions that need it.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._specs: dict[str, Spec] = {}
        self._loaded = False

    def add(self, module: str, spec: Spec) -> None:
        """Take `spec` in under the last part of `module`, the dotted name of the file it lives in."""
        name = module.rpartition(".")[2]
        if name in self._specs:
            raise ValueError(f"{self.kind} {name!r} is registered twice; one file holds one {self.kind}")
        self._specs[name] = spec

    def __getitem__(self, name: str) -> Spec:
        self._load()
        if name not in self._specs:
            near = difflib.get_close_matches(name, self._specs, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self)}"
            raise UnknownName(f"no {self.kind} named {name!r}; {hint}")
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._specs))

    def _load(self) -> None:
        if self._loaded:
            return
        package: ModuleType = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")
        self._loaded = True  # last: a plugin that failed to import is tried, and named, again
