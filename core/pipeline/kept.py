"""Runs as they lie on disk: manifest, measured rows, how one is found, by its id or by what was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.evaluation.metrics.composite import Cost
from core.repair import METHODS
from core.values import Evaluation, Frozen, RepairSpec, Reporter
from core.workspace import Workspace, json_line, read_as, read_json, write_json
from core.workspace.files import storage_errors

BEGUN = "begun"  # marks in the kept rows where a process began
ASKED = "asked"  # folder of the index: key of what was asked -> id of the run that answers it


class RunManifest(Frozen):
    """Written last: it exists => the run is whole."""

    id: str
    spec: RepairSpec
    selection: str
    strategy: str
    budget: int  # rows
    eligible: int  # rows the budget was taken from
    select_seconds: float  # with the making of its signals
    pool: str
    pool_fingerprint: str
    model: str
    model_hash: str
    result: dict[str, Any]
    dose: dict[str, float] = {}  # of a mix: see core.pipeline.mixes.dose
    resumed: tuple[int, ...] = ()  # steps at which another process took the run up again
    estimate: dict[str, Any] = {}  # what it was expected to take, beside what it took
    base_evaluation: str = ""
    created: str
    seconds: float  # of the process that ended it
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Run:
    """One finished repair as the pages and tables read it."""

    id: str
    folder: Path
    manifest: RunManifest
    evaluation: Evaluation | None

    @property
    def interrupted(self) -> bool:
        """Whether a person stopped it before its end."""
        return bool(self.manifest.result.get("interrupted", False))

    @property
    def untouched(self) -> bool:
        """Whether it trained and yet holds the untouched weights: no validation was better than the first."""
        result = self.manifest.result
        return int(result.get("steps", 0)) > 0 and int(result.get("best_step", -1)) == 0

    @property
    def share(self) -> float:
        """Rows used as a share of the eligible rows."""
        return self.manifest.budget / max(self.manifest.eligible, 1)

    @property
    def trained_rows(self) -> int:
        """Rows it learned from: the selected ones, and the benign ones mixed in."""
        return self.manifest.budget + int(self.manifest.dose.get("benign", 0))

    def cost(self, full: Run) -> Cost:
        """Seconds of selecting and repairing, beside those of the full-data run."""
        m = self.manifest
        return Cost(m.select_seconds, m.result["seconds"], full.manifest.result["seconds"])

    @property
    def label(self) -> str:
        """Strategy, budget, method with a scope that is not its own, mix and seed in one line."""
        m = self.manifest
        own = METHODS[m.spec.method].params.model_fields["scope"].default if m.spec.method in METHODS else ""
        scope = m.spec.params.get("scope", own)
        method = m.spec.method if scope == own else f"{m.spec.method} ({scope})"
        mixed = f" + {self.manifest.dose['benign']:,} benign" if "benign" in m.dose else ""
        return m.spec.name or f"{m.strategy} {m.budget} rows{mixed}, {method}, seed {m.spec.seed}"


def find_run(ws: Workspace, run_id: str) -> Run | None:
    """The whole run of that id, or None."""
    folder = ws.find("runs", run_id)
    if folder is None or not (folder / "manifest.json").is_file():
        return None
    manifest = read_as(RunManifest, folder / "manifest.json")
    path = folder / "evaluation.json"
    found = read_as(Evaluation, path) if path.is_file() else None
    return Run(run_id, folder, manifest, found)


def runs(ws: Workspace) -> list[Run]:
    """Every whole run, newest first."""
    found = [find_run(ws, name) for name in ws.folders("runs")]
    return sorted((r for r in found if r is not None), key=lambda r: r.manifest.created, reverse=True)


def remember_asked(ws: Workspace, key: str, run_id: str) -> None:
    """Note which run answers what was asked under `key`."""
    path = ws.path(ASKED, f"{key}.json")
    if not path.is_file() or read_json(path)["run"] != run_id:
        write_json(path, {"run": run_id})


def recall_asked(ws: Workspace, key: str) -> Run | None:
    """The run noted under `key`, if it is still there and came to its own end."""
    path = ws.find(ASKED, f"{key}.json")
    run = None if path is None else find_run(ws, read_json(path)["run"])
    return None if run is None or run.interrupted else run


class KeptRows:
    """A Reporter that also keeps every measured row in a file that a killed run goes on with.

    The file only grows, so that no kill leaves it worse; `standing_rows` says which of its rows count. What
    counted before is told again first: whoever looks at the new process alone sees the whole run.
    """

    def __init__(self, outer: Reporter, path: Path) -> None:
        self.outer, self.path = outer, path
        self.before = bool(_lines(path))
        data = path.read_bytes() if path.is_file() else b""
        with path.open("wb" if not data else "r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)  # a line cut by a kill
        self._append({BEGUN: True})

    def progress(self, done: int, total: int, what: str) -> None:
        """Passed on."""
        self.outer.progress(done, total, what)

    def record(self, row: Mapping[str, Any]) -> None:
        """Kept, and passed on."""
        self._append(row)
        if self.before:
            for known in standing_rows(self.path):
                self.outer.record(known)
            self.before = False
        else:
            self.outer.record(row)

    def stopping(self) -> bool:
        """As the outer one says."""
        return self.outer.stopping()

    def asked(self, what: str) -> bool:
        """As the outer one says."""
        return self.outer.asked(what)

    def _append(self, row: Mapping[str, Any]) -> None:
        with storage_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json_line(row))


def standing_rows(path: Path) -> list[dict[str, Any]]:
    """The kept rows that count, in order: each step once, as if no process had ever been killed.

    A process takes a phase up again after the step its "resumed" row names, or begins it anew with its first
    row; what earlier processes told of later steps is void.
    """
    found: list[dict[str, Any]] = []
    begun: set[str] = set()  # phases this process has told of
    for row in _lines(path):
        if BEGUN in row:
            begun.clear()
            continue
        phase = str(row.get("phase", ""))
        if phase not in begun:
            last = row["resumed"] if "resumed" in row else row["step"] - 1
            found = [r for r in found if r.get("phase", "") != phase or r.get("step", last) <= last]
            begun.add(phase)
        found.append(row)
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line; none where there is no file."""
    data = path.read_bytes() if path.is_file() else b""
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
