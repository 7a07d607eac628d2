"""`job list`, `stop`, `move`, `ask`, `resume` and `slots`: what the pages started, from a terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.options import JsonOption, WorkspaceOption, show
from core.jobs import Job, Jobs
from core.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="List, order, stop and resume the work that runs by itself.")
JobArgument = Annotated[str, typer.Argument(help="Id of the job, as `job list` shows it.")]


def _line(job: Job) -> str:
    """One job as a line: where it runs, or its place in the queue and the device it asks for."""
    state = f"queued {job.place}" if job.place else job.state
    lane = job.device or f"({job.wish})"
    return f"{job.id}  {state:<10}  {lane:<7}  {job.kind:<8}  {job.title}  {job.error}".rstrip()


@app.command("list")
def job_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List background jobs, newest first: state or place in the queue, device, kind, title."""
    found = Jobs(Workspace.open(workspace)).list()
    show(found, as_json, "\n".join(map(_line, found)) or "no jobs yet")


@app.command("stop")
def job_stop(job: JobArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Ask a job to stop: cleanly first, then by force."""
    show(Jobs(Workspace.open(workspace)).cancel(job), as_json, f"asked {job} to stop")


@app.command("move")
def job_move(
    job: JobArgument,
    where: Annotated[str, typer.Argument(help="first, up, down or last.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a waiting job another place in the queue."""
    moved = Jobs(Workspace.open(workspace)).reorder(job, where)
    said = f"{job} is number {moved.place} in the queue" if moved.place else f"{job} has just started"
    show(moved, as_json, said)


@app.command("ask")
def job_ask(
    job: JobArgument,
    what: Annotated[
        str, typer.Argument(help="evaluate (look at its panel now) or save (the model as it is).")
    ],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a running repair for something at its next step; `log.txt` and the page show the answer."""
    show(Jobs(Workspace.open(workspace)).ask(job, what), as_json, f"asked {job} to {what}")


@app.command("resume")
def job_resume(job: JobArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Queue an ended job again; a repair goes on from its last checkpoint."""
    jobs = Jobs(Workspace.open(workspace))
    again = jobs.resubmit(job)
    show(jobs.get(again), as_json, f"queued {again}")


@app.command("slots")
def job_slots(
    cpu: Annotated[int | None, typer.Argument(help="Jobs at once on the CPU (default: as it is).")] = None,
    gpu: Annotated[int | None, typer.Option(help="Jobs at once on each GPU (default: as it is).")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or set how many jobs run at once."""
    jobs = Jobs(Workspace.open(workspace))
    if cpu is not None:
        jobs.set_slots(cpu)
    if gpu is not None:
        jobs.set_gpu_slots(gpu)
    found = {"cpu": jobs.slots, "gpu": jobs.gpu_slots}
    show(found, as_json, f"at once: {jobs.slots} on the CPU, {jobs.gpu_slots} on each GPU")
