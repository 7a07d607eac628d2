"""The command line: everything the pages do, without a browser. `python -m core --help` lists it."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before anything can load torch
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import typer

from core.cli import choose, compare, demo, density, jobs, models, pools, recipes, repairs, studies
from core.errors import Stopped, WinnowError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which few examples repair a language model, and what does the repair cost?",
)
app.add_typer(pools.app, name="pool")
app.add_typer(choose.app)
app.add_typer(compare.app)
app.add_typer(recipes.app, name="recipe")
app.add_typer(repairs.app)
app.add_typer(models.app)
app.add_typer(density.app)
app.add_typer(repairs.run_app, name="run")
app.add_typer(studies.app, name="study")
app.add_typer(studies.against_app)
app.add_typer(jobs.app, name="job")
app.add_typer(demo.app, name="demo")


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        app()
    except Stopped as stop:
        typer.echo(f"winnow: {stop}", err=True)
        sys.exit(130)  # as shells say: ended by Ctrl-C
    except WinnowError as error:
        typer.echo(f"winnow: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
