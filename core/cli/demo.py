"""`demo build` and `demo run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.cli.options import JsonOption, WorkspaceOption, show
from core.cli.terminal import Terminal
from core.workspace import Workspace, plain

app = typer.Typer(no_args_is_help=True, help="The embedded demo: build its artefacts, run its repairs.")


@app.command("build")
def demo_build(
    out: Annotated[Path | None, typer.Option(help="Folder to build into (default: assets/demo).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of grammar, models and splits.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Make the demo's pool, language model, scorer and signals again from a seed (minutes of CPU)."""
    from core.demo.build import build
    from core.workspace.store import SHIPPED

    facts = build(out or SHIPPED, seed=seed, reporter=Terminal())
    show(facts, as_json, json.dumps(plain(facts), indent=1))


@app.command("run")
def demo_run(
    full: Annotated[bool, typer.Option("--full", help="Also repair with all eligible rows.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Select, repair and evaluate on the demo pool: 12 runs, two at a time; prints the table."""
    from core.demo.run import run

    result = run(Workspace.open(workspace), full=full, reporter=Terminal())
    show(result.rows, as_json, result.text)
