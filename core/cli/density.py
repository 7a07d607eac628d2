"""`density`: which transformer blocks the bad texts of a pool point at."""

from __future__ import annotations

from typing import Annotated

import typer

from core import pipeline
from core.cli.options import JsonOption, WorkspaceOption, show
from core.cli.terminal import Terminal
from core.pipeline.densities import DensitySpec, density_text, measure_density
from core.workspace import Workspace

app = typer.Typer()


@app.command("density")
def density_command(
    pool: Annotated[str, typer.Option(help="Pool whose rejected texts are looked at (train rows).")],
    model: Annotated[str, typer.Option(help="demo, run:ID, a name, a folder or a hub id.")] = "",
    rows: Annotated[int, typer.Option(help="Bad texts at most (the paper: 2,000).")] = 2000,
    seed: Annotated[int, typer.Option(help="Which of them.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model's error density (IRepair, figure 2): one backward pass per bad text."""
    asked = {"pool": pool, "model": model, "params": {"rows": rows, "seed": seed}, "device": device}
    spec = pipeline.parse(DensitySpec, asked, "the density asked for", see="--help")
    found = measure_density(Workspace.open(workspace), spec, Terminal())
    show(found, as_json, density_text(found))
