"""`repair`, `evaluate`, `run list` and `run table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import pipeline
from core.cli.options import (
    ExampleOption,
    JsonOption,
    WorkspaceOption,
    example,
    protocol_of,
    read_input,
    show,
)
from core.cli.terminal import Terminal
from core.demo import plan
from core.errors import BadInput
from core.evaluation import NEVER_REFUSES, PROTOCOLS, never_refuses
from core.pipeline.estimate import expected
from core.pipeline.runs import find_asked
from core.values import Evaluation, EvaluationSpec, RepairSpec
from core.workspace import Workspace, plain, write_json

app = typer.Typer()
run_app = typer.Typer(no_args_is_help=True, help="List repairs and read the trade-off table.")


@app.command("repair")
def repair_command(
    spec: Annotated[
        Path | None, typer.Argument(help="Repair spec: a json file, or '-' for standard input.")
    ] = None,
    print_example: ExampleOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Repair one model with one selection by one method and seed, then measure it."""
    if print_example:
        example(plan.spec("uniform", "dpo", seed=0))
    if spec is None:
        raise BadInput("give a repair spec: a json file, or '-' for standard input (see --print-example)")
    ws = Workspace.open(workspace)
    asked: RepairSpec = pipeline.parse(RepairSpec, read_input(spec), "the repair spec")
    if find_asked(ws, asked) is None and (needed := expected(ws, asked)) is not None:
        typer.echo(needed.sentence, err=True)
    run = pipeline.run_repair(ws, asked, Terminal())
    if ended := run.manifest.result.get("stopped_early"):
        typer.echo(f"note: {ended}", err=True)
    text = f"run {run.id}: {run.label}\n  {run.folder}"
    if run.evaluation is not None:
        text += "\n" + evaluation_text(run.evaluation)
    show(run.manifest.model_dump(mode="json") | {"evaluation": plain(run.evaluation)}, as_json, text)


@app.command("evaluate")
def evaluate_command(
    model: Annotated[str, typer.Option(help="demo, run:ID, a name, a folder or a hub id.")],
    pool: Annotated[str, typer.Option(help="Pool whose held-out prompts are continued.")],
    split: Annotated[
        str,
        typer.Option(help="Held-out rows: test for results, validation for choices made on the way."),
    ] = "test",
    protocol: Annotated[
        str, typer.Option(help=f"How toxicity is measured: {', '.join(PROTOCOLS)}.")
    ] = "quick",
    out: Annotated[Path | None, typer.Option(help="Write the evaluation to this json file.")] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="Pool whose held-out text gives perplexity; the first is the main one (default: --pool)."
        ),
    ] = None,
    lambada: Annotated[
        list[str] | None,
        typer.Option(help="Pool of held-out texts whose last word is predicted, as in LAMBADA."),
    ] = None,
    requests: Annotated[
        list[str] | None,
        typer.Option(help="Pool whose held-out requests, safe and unsafe, are answered or refused."),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(help="Classifier that says which answers are harmful: NAME, or NAME:CLASS."),
    ] = "",
    fluency: Annotated[
        str, typer.Option(help="Larger model that says how natural the continuations read.")
    ] = "",
    scorer: Annotated[str, typer.Option(help="Toxicity scorer (default: the pool's).")] = "",
    prompts: Annotated[int | None, typer.Option(help="Prompts at most (default: the protocol's).")] = None,
    samples: Annotated[
        int | None, typer.Option(help="Continuations per prompt (default: the protocol's).")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model: toxicity of its continuations, perplexity, last words, refusals, fluency."""
    if judge and not requests:
        raise BadInput("--judge reads the answers to requests; name a pool of these with --requests")
    asked = {
        "model": model,
        "pool": pool,
        "split": split,
        "protocol": protocol_of(protocol, {"prompts": prompts, "samples": samples}),
        "scorer": scorer,
        "texts": tuple(text or ()),
        "lambada": tuple(lambada or ()),
        "requests": tuple(requests or ()),
        "judge": judge,
        "fluency": fluency,
    }
    spec = pipeline.parse(EvaluationSpec, asked, "the evaluation", see="--help")
    found = pipeline.run_evaluation(Workspace.open(workspace), spec, Terminal())
    if out is not None:
        write_json(out, found)
    show(found, as_json, evaluation_text(found))


def evaluation_text(found: Evaluation) -> str:
    """The evaluation as lines of text: every number with its interval, n and unit."""
    p = found.protocol
    rows = f"{found.split} rows"
    lines = [
        f"{found.model} on {found.pool}, {rows}: protocol {p.name}, k = {p.samples}, scorer {found.scorer}"
    ]
    lines += [
        f"  {name:<22} {pipeline.number(m)}  (n = {m.n:,}{' ' + m.unit if m.unit else ''})"
        for name, m in found.metrics.items()
    ]
    judged = [f"judge {found.judge}"] if found.judge else []
    judged += [f"fluency by {found.fluency}"] if found.fluency else []
    lines[0] += "".join(f", {who}" for who in judged)
    for sets in (found.texts, found.lambada, found.requests):
        lines += [
            f"  {of + ' ' + name:<42} {pipeline.number(m)}  (n = {m.n:,})"
            for of, measures in sets.items()
            for name, m in measures.items()
        ]
    lines += [
        f"  {of}: {NEVER_REFUSES}; its refusal rates say nothing"
        for of, measures in found.requests.items()
        if never_refuses(measures)
    ]
    lines += (
        [f"  failed generations, left out: {found.failed_generations:,}"] if found.failed_generations else []
    )
    return "\n".join(lines + [f"  warning: {w}" for w in found.warnings])


@run_app.command("list")
def run_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List finished repairs, newest first."""
    found = pipeline.runs(Workspace.open(workspace))
    lines = [f"{r.id}  {r.manifest.created}  {r.label}" for r in found]
    show(
        [r.manifest for r in found],
        as_json,
        "\n".join(lines) or "no repairs yet; start one with: python -m core repair SPEC",
    )


@run_app.command("table")
def run_table(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Print the trade-off: base and repaired models, only comparable ones in one table."""
    ws = Workspace.open(workspace)
    groups = pipeline.trade_off(ws)
    show(
        [{"label": g.label, "base": g.base, "runs": {r.label: r.evaluation for r in g.runs}} for g in groups],
        as_json,
        "\n\n".join(pipeline.trade_off_text(ws, g) for g in groups) or "no evaluated repairs yet",
    )
