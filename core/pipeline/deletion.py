"""Taking away what was kept: a run or only its model, never without saying what depends on it."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from core.errors import BadInput, UnknownName
from core.lm.identity import BASE
from core.pipeline.runs import Run, find_run, runs
from core.pipeline.studies import cells, load_study, study_names
from core.workspace import Workspace, read_json
from core.workspace.files import storage_errors


def size(folder: Path) -> int:
    """Bytes of all files below the folder; 0 where there is none."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else 0


def dependents(ws: Workspace, run_id: str) -> list[str]:
    """What uses the run, as a person would name it: repairs and kept models based on it, studies with it."""
    found = _heirs(ws, run_id)
    for name in study_names(ws):
        if any(cell.run is not None and cell.run.id == run_id for cell in cells(ws, load_study(ws, name))):
            found.append(f"study {name!r} has it as a point")
    return found


def _heirs(ws: Workspace, run_id: str) -> list[str]:
    """What needs the run's model."""
    meant = f"run:{run_id}"
    found = [f"run {r.id} ({r.label}) repaired its model" for r in runs(ws) if r.manifest.model == meant]
    return found + [f"model {name!r} holds only what differs from its model" for name in _kept_on(ws, run_id)]


def _kept_on(ws: Workspace, run_id: str) -> list[str]:
    """Models that were kept while a repair of this run's model was under way, as changed weights only."""
    base, found = ws.path("runs", run_id, "model").resolve(), []
    for path in sorted(ws.path("models").glob(f"*/{BASE}")):
        said = read_json(path)
        places = (Path(str(said["source"])), path.parent / str(said["relative"] or "."))
        if any(place.resolve() == base for place in places):
            found.append(path.parent.name)
    return found


def delete_run(ws: Workspace, run_id: str, *, anyway: bool = False) -> int:
    """Remove the run with its model, evaluation and generations; the bytes freed.

    Refused while something depends on it, unless `anyway`. Its selection and its pool stay.
    """
    run = _own(ws, run_id)
    if not anyway and (used := dependents(ws, run_id)):
        raise BadInput(
            f"run {run_id} was not deleted, because {'; '.join(used)}; delete those first, or delete it "
            "anyway"
        )
    shutil.rmtree(ws.path("partial", "runs", run_id), ignore_errors=True)
    return _remove(ws, run.folder)


def delete_model(ws: Workspace, run_id: str, *, anyway: bool = False) -> int:
    """Remove the run's model only; its numbers and generations stay. The bytes freed."""
    run = _own(ws, run_id)
    if not anyway and (used := _heirs(ws, run_id)):
        raise BadInput(
            f"the model of run {run_id} was not deleted, because {'; '.join(used)}; delete those first, or "
            "delete it anyway"
        )
    return _remove(ws, run.folder / "model")


def _own(ws: Workspace, run_id: str) -> Run:
    run = find_run(ws, run_id)
    if run is None:
        raise UnknownName(f"there is no run {run_id!r} in {ws.root}; `run list` shows them")
    if not run.folder.is_relative_to(ws.root):
        raise BadInput(f"run {run_id} came with the program and is not deleted")
    return run


def _remove(ws: Workspace, folder: Path) -> int:
    """Out of sight at once, by a rename; then byte by byte: a crash in between leaves no half run."""
    freed = size(folder)
    if folder.is_dir():
        with storage_errors(folder):
            hidden = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.old")
            folder.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)
    return freed
