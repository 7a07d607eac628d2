"""`job list` and `job stop`: what the pages started, seen from a terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.options import JsonOption, WorkspaceOption, show
from core.jobs import Jobs
from core.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="List and stop the work that runs in the background.")


@app.command("list")
def job_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List background jobs, newest first, with their state."""
    found = Jobs(Workspace.open(workspace)).list()
    lines = [f"{j.id}  {j.state:<10}  {j.kind:<8}  {j.title}  {j.error}".rstrip() for j in found]
    show(found, as_json, "\n".join(lines) or "no jobs yet")


@app.command("stop")
def job_stop(
    job: Annotated[str, typer.Argument(help="Id of the job, as `job list` shows it.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Ask a job to stop: cleanly first, then by force."""
    Jobs(Workspace.open(workspace)).cancel(job)
    typer.echo(f"asked {job} to stop")
