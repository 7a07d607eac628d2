"""`export`, `run show`, `run delete` and `run drop-model`: what a repair left behind, taken along or away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import pipeline
from core.cli.options import JsonOption, WorkspaceOption, show
from core.cli.repairs import evaluation_text, run_app
from core.cli.terminal import Terminal
from core.errors import UnknownName
from core.pipeline import Run
from core.pipeline.deletion import delete_model, delete_run, size
from core.workspace import Workspace

app = typer.Typer()
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a finished repair (see `run list`).")]
AnywayOption = Annotated[bool, typer.Option("--anyway", help="Also when something depends on it.")]


@app.command("export")
def export_command(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="New folder for the model.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a repaired model as a folder any program opens, with a card that tells all of it."""
    done = pipeline.export_run(Workspace.open(workspace), run, out, Terminal())
    show(done, as_json, f"{done.folder}: {_mb(done.bytes)}, weights {done.weights}")


@run_app.command("show")
def run_show(run: RunArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Print one repair: what made it, what it took, what it was measured to do, and its size on disk."""
    found = _run(Workspace.open(workspace), run)
    m = found.manifest
    said = [f"run {found.id}: {found.label}", f"  {found.folder}"]
    said += [f"  {words}" for words in facts(found)]
    if found.evaluation is not None:
        said.append(evaluation_text(found.evaluation))
    show({"manifest": m, "evaluation": found.evaluation}, as_json, "\n".join(said))


@run_app.command("delete")
def run_delete(
    run: RunArgument,
    anyway: AnywayOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a repair with all its numbers; refused while a study or another repair depends on it."""
    freed = delete_run(Workspace.open(workspace), run, anyway=anyway)
    show({"run": run, "freed": freed}, as_json, f"run {run} is deleted; {_mb(freed)} freed")


@run_app.command("drop-model")
def run_drop_model(
    run: RunArgument,
    anyway: AnywayOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete only the model of a repair; its numbers and generations stay."""
    freed = delete_model(Workspace.open(workspace), run, anyway=anyway)
    show({"run": run, "freed": freed}, as_json, f"the model of run {run} is deleted; {_mb(freed)} freed")


def facts(run: Run) -> list[str]:
    """What the run learned from, and what it took beside what was expected, in words."""
    m = run.manifest
    took = [f"{m.result['seconds']:.1f} s of training", f"peak {_mb(m.result['peak_bytes'])}"]
    out = [
        f"{m.budget:,} of {m.eligible:,} eligible rows of {m.pool}, selection {m.selection}",
        f"{m.result['steps']} steps, best at {m.result['best_step']}; {', '.join(took)}",
    ]
    if m.estimate:
        seconds = m.estimate.get("seconds")
        time = "" if seconds is None else f"{pipeline.duration(seconds)}, "
        out.append(f"expected before it began: {time}{_mb(m.estimate['memory_bytes'])}")
    if m.dose:
        out.append(f"mixed: {', '.join(f'{name} {value:.3g}' for name, value in m.dose.items())}")
    out += [str(m.result["stopped_early"])] if m.result.get("stopped_early") else []
    out += map(str, m.result.get("notes", ()))
    return [*out, f"on disk {_mb(size(run.folder))}, of it the model {_mb(size(run.folder / 'model'))}"]


def _run(ws: Workspace, run_id: str) -> Run:
    found = pipeline.find_run(ws, run_id)
    if found is None:
        raise UnknownName(f"there is no run {run_id!r} in {ws.root}; `run list` shows them")
    return found


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
