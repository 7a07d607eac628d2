"""`study SPEC`, `study list`, `table`, `report`, `prune`, `delete`; `against`: two models side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from core import pipeline
from core.cli.options import ExampleOption, JsonOption, WorkspaceOption, example, read_input, show
from core.cli.study_report import against_text, report
from core.cli.study_work import by_queue, here
from core.cli.terminal import Terminal
from core.demo import plan
from core.errors import BadInput, WinnowError
from core.jobs import ACTIVE, Jobs
from core.pipeline.against import against
from core.pipeline.deletion import size
from core.pipeline.studies import (
    cells,
    delete_study,
    load_study,
    missing,
    save_study,
    study_names,
    study_table,
    write_table,
)
from core.pipeline.study_models import RULE, prune_models
from core.pipeline.study_numbers import Cell
from core.values import Budget
from core.values.study import StudyMethod, StudySpec, StudyStrategy
from core.workspace import Workspace, csv_bytes, write_bytes, write_parquet

MB = 1e6
RUN = "run"  # the command that `study SPEC` means


class _SpecFirst(TyperGroup):
    """Takes `study SPEC` as `study run SPEC`: what is no command is a file or the name of a study."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [RUN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_SpecFirst,
    no_args_is_help=True,
    help="Grids of repairs with one question: `study SPEC` writes one down and runs what is missing.",
)
against_app = typer.Typer()

NameArgument = Annotated[str, typer.Argument(help="Name of the study, as `study list` shows it.")]


def example_study() -> StudySpec:
    """The grid of the papers on the demo pool: 5 strategies x 4 budgets x 3 methods x 3 seeds."""
    kl = plan.METHODS["irepair_kl"]
    methods = plan.METHODS | {"irepair": {name: v for name, v in kl.items() if name != "alpha"}}
    steps = plan.FULL_STEPS | {"irepair": plan.FULL_STEPS["irepair_kl"]}
    return StudySpec(
        name="demo-study",
        question="Which rows repair the demo model, how few are enough, and what does it cost?",
        pool=plan.POOL,
        strategies=(
            StudyStrategy(strategy="uniform"),
            StudyStrategy(strategy="k_center"),
            StudyStrategy(strategy="top", params={"score": "grand"}, label="grand"),
            StudyStrategy(strategy="ccs"),
            StudyStrategy(strategy="saps"),
        ),
        budgets=tuple(Budget(rows=None, percent=share) for share in (2.0, 5.0, 10.0, 30.0)),
        methods=tuple(
            StudyMethod(method=name, params=params, full_params={"steps": steps[name]})
            for name, params in methods.items()
        ),
        seeds=plan.SEEDS,
        model=plan.MODEL,
        scorer=plan.SCORER,
        evaluation=plan.EVALUATION,
        device="cpu",
    )


@app.command(RUN)
def study_run(
    spec: Annotated[
        str | None,
        typer.Argument(help="Study: a json file, '-' for standard input, or the name of a saved study."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--here", min=1, help="Run in so many processes of this command, without the queue."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace another study of the same name; its runs stay.")
    ] = False,
    print_example: ExampleOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a study down and run what is missing of it, cheap runs first; what is done is not run again.

    Runs go to the queue, which works on when this command is left with Ctrl-C; with --here N they run in
    processes of this command. A run that fails does not stop the others.
    """
    if print_example:
        example(example_study())
    if spec is None:
        raise BadInput("give a study: a json file, '-', or the name of a saved one (see --print-example)")
    ws = Workspace.open(workspace)
    study = _study(ws, spec)
    save_study(ws, study, replace=replace)
    found = cells(ws, study)
    todo = missing(found)
    typer.echo(f"study {study.name}: {len(found)} runs, {len(found) - len(todo)} done, {len(todo)} to do")
    failures: list[str] = []
    if todo:
        work = by_queue(ws, study.name, todo, Terminal(), typer.echo) if workers is None else None
        failures = here(ws, todo, workers or 1, Terminal(), typer.echo) if work is None else work
    typer.echo(f"table: {write_table(ws, study)}")
    if study.keep_model == "best" and not failures:
        typer.echo(_pruned(ws, study, RULE))
    if failures:
        listed = "\n".join(f"  {failure}" for failure in failures)
        raise WinnowError(f"{len(failures)} of {len(todo)} runs failed, the others are kept:\n{listed}")


def _study(ws: Workspace, given: str) -> StudySpec:
    """The study that a name or a json file means; a saved name wins over a file without an ending."""
    if given in study_names(ws):
        return load_study(ws, given)
    found: StudySpec = pipeline.parse(StudySpec, read_input(Path(given)), "the study")
    return found


@app.command("list")
def study_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List studies with how many of their runs are finished."""
    ws = Workspace.open(workspace)
    found = {name: cells(ws, load_study(ws, name)) for name in study_names(ws)}
    rows = [
        {"study": name, "runs": len(grid), "done": len(grid) - len(missing(grid))}
        for name, grid in found.items()
    ]
    lines = [f"{row['study']}: {row['done']} of {row['runs']} runs finished" for row in rows]
    show(rows, as_json, "\n".join(lines) or "no studies yet; see: python -m core study --print-example")


@app.command("table")
def study_table_command(
    name: NameArgument,
    out: Annotated[Path | None, typer.Option(help="Write it to this .csv or .parquet file.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """One row per finished run, every number with its interval and n."""
    ws = Workspace.open(workspace)
    frame = study_table(ws, load_study(ws, name))
    if out is not None:
        if out.suffix.lower() not in (".csv", ".parquet"):
            raise BadInput(f"{out.name}: cannot tell the format; end the name with .csv or .parquet")
        if out.suffix.lower() == ".csv":
            write_bytes(out, csv_bytes(frame))
        else:
            write_parquet(out, frame)
    shown = [c for c in frame.columns if not str(c).endswith((".low", ".high", ".n"))]
    show(
        frame.to_dict("records"),
        as_json,
        frame[shown].to_string(index=False) if len(frame) else "no finished runs yet",
    )


@app.command("report")
def study_report(name: NameArgument, workspace: WorkspaceOption = None) -> None:
    """Arms with intervals, the front, the smallest budgets that are enough, and the papers' claims."""
    ws = Workspace.open(workspace)
    study = load_study(ws, name)
    typer.echo(report(ws, study, cells(ws, study)))


@app.command("prune")
def study_prune(
    name: NameArgument,
    metric: Annotated[str, typer.Option(help="Number that the best run has the best of.")] = RULE,
    workspace: WorkspaceOption = None,
) -> None:
    """Keep the best run's model only; numbers and generations of all runs stay."""
    ws = Workspace.open(workspace)
    typer.echo(_pruned(ws, load_study(ws, name), metric))


def _pruned(ws: Workspace, study: StudySpec, metric: str) -> str:
    found = prune_models(ws, study, metric)
    said = (
        f"kept the model of run {found.best} (best {found.metric}: {found.value:.4f}), removed "
        f"{len(found.removed)} others and freed {found.freed / MB:.1f} MB"
    )
    return "\n".join([said, *found.kept])


@app.command("delete")
def study_delete(
    name: NameArgument,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Delete it though runs of it wait or run.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Remove a study and its table; its runs stay. Says what they are and what is still queued."""
    ws = Workspace.open(workspace)
    grid = cells(ws, load_study(ws, name))
    queued = [job for job in Jobs(ws).list(*ACTIVE) if job.title.startswith(f"{name}: ")]
    if queued and not anyway:
        raise BadInput(
            f"{len(queued)} runs of study {name!r} wait or run (`job list`); stop them first, or give "
            "--anyway: they go on as runs of their own. Nothing was changed"
        )
    delete_study(ws, name)
    typer.echo(f"deleted study {name}; {_left(grid)}")


def _left(grid: list[Cell]) -> str:
    runs = {cell.run.id: cell.run for cell in grid if cell.run is not None}
    models = [size(run.folder / "model") for run in runs.values() if (run.folder / "model").is_dir()]
    kept = f", {len(models)} of them with models ({sum(models) / MB:.1f} MB)" if models else ""
    return f"its {len(runs)} finished runs stay{kept}: `run list` shows them"


@against_app.command("against")
def against_command(
    first: Annotated[str, typer.Argument(help="Id of a run, or 'base': the base model of the other.")],
    second: Annotated[str, typer.Argument(help="Id of the run that is judged beside the first.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Two models measured alike: every number, the paired change with its interval, better or not."""
    found = against(Workspace.open(workspace), first, second)
    rows = [vars(row) for row in found.rows]
    show({"first": first, "second": second, "rows": rows}, as_json, against_text(found))
