"""`signal` and `select`: know something per example, and choose by it."""

from __future__ import annotations

from typing import Annotated

import typer

from core import pipeline
from core.cli.options import (
    SETTING,
    ExampleOption,
    JsonOption,
    MethodOption,
    PercentOption,
    PoolOption,
    RowsOption,
    WorkspaceOption,
    example,
    read_settings,
    show,
)
from core.cli.recipes import AnywayOption, OutOption, StrictOption, choose_by, find_recipe, finish
from core.cli.terminal import Terminal
from core.errors import BadInput
from core.values import Budget, Recipe
from core.workspace import Workspace

app = typer.Typer()


@app.command("signal")
def signal_command(
    method: Annotated[
        str,
        typer.Argument(
            help="STAGE:METHOD, e.g. embedding:minilm, projection:umap, clustering:hdbscan, "
            "scoring:toxicity; a wrong name lists the known ones."
        ),
    ],
    pool: Annotated[str, typer.Option(help="Name of the pool.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help=SETTING)] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Model for model-based scores: demo, run:ID, a name, a folder or a hub id "
            "(default: demo for the demo's pools, else the workspace's first, else gpt2)."
        ),
    ] = "",
    scorer: Annotated[
        str,
        typer.Option(
            help="Toxicity scorer: demo, a name, a folder, or unbiased, original, multilingual "
            "(default: demo for the demo's pools, else unbiased)."
        ),
    ] = "",
    reference: Annotated[
        list[str] | None, typer.Option(help="Reference pool, for methods that compare with one.")
    ] = None,
    encoder: Annotated[str, typer.Option(help="Encoder that gives the vectors.")] = "minilm",
    template: Annotated[
        str, typer.Option(help="Text to embed: prompt+response, prompt, response or difference.")
    ] = "prompt+response",
    space: Annotated[
        str,
        typer.Option(
            help="Space that clustering reads: embedding, pca50 or umap10 "
            "(default: pca50 for kmeans, umap10 for hdbscan)."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of projection and clustering.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute something known per example and store it; asking again costs nothing."""
    ws = Workspace.open(workspace)
    stage, colon, name = method.partition(":")
    if not colon:
        raise BadInput(f"{method!r} names no signal; write STAGE:METHOD, e.g. embedding:minilm")
    request = {
        "stage": stage,
        "method": name,
        "pool": pool,
        "params": read_settings(settings or []),
        "model": model,
        "scorer": scorer,
        "references": tuple(reference or ()),
        "encoder": name if stage == "embedding" else encoder,
        "encoder_params": read_settings(settings or []) if stage == "embedding" else {},
        "template": template,
        "space": space,
        "seed": seed,
        "device": device,
    }
    made = pipeline.make_signal(
        ws, pipeline.parse(pipeline.SignalRequest, request, "the signal request", see="--help"), Terminal()
    )
    facts = {k: v for k, v in made.facts.items() if k not in ("keywords", "words")}
    text = [f"{made.facts['words']}: {made.key.digest} in {made.folder}"]
    text.append(
        f"  {made.manifest['seconds']:.1f} s, peak memory "
        f"{made.manifest['peak_bytes'] / 2**20:,.0f} MiB, {facts}"
    )
    show(
        {"digest": made.key.digest, "folder": made.folder, "manifest": made.manifest},
        as_json,
        "\n".join(text),
    )


@app.command("select")
def select_command(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Recipe: a json file (plain or saved), '-' for standard input, the name of a saved recipe "
            "(replayed to its very rows), or a strategy's name (then with its defaults: 10 percent of the "
            "rows that dpo can learn from)."
        ),
    ] = "",
    pool: PoolOption = "",
    method: MethodOption = "",
    percent: PercentOption = None,
    rows: RowsOption = None,
    tokens: Annotated[
        int | None, typer.Option(help="Budget in tokens of the chosen rows together (replaces the recipe's).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed (replaces the recipe's; default: 0).")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help=f"A setting of the strategy. {SETTING}.")
    ] = None,
    dedup: Annotated[
        float | None,
        typer.Option(
            help="Set near-duplicates aside first: of rows with a cosine above 1 - DEDUP one stays "
            "(0 to 0.5)."
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            help="Pool that reference-based strategies compare with, e.g. one made by `pool failures` "
            "(default: the pool's own validation rows; test rows are never read)."
        ),
    ] = "",
    anyway: AnywayOption = False,
    strict: StrictOption = False,
    out: OutOption = None,
    print_example: ExampleOption = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose rows by a recipe; missing signals are computed first.

    A saved recipe gives the rows it was saved with, or says what differs. Fewer rows than asked are told on
    standard error (warning: ...); the exit code is 0 then, or 2 with --strict.
    """
    if print_example:
        example(Recipe(pool="demo", strategy="saps", params={"rho": 0.5}, budget=Budget(percent=10.0)))
    if not recipe:
        raise BadInput(
            "give a recipe: a json file, '-' for standard input, the name of a saved recipe or of a strategy "
            "(see --print-example)"
        )
    if out is not None:
        pipeline.check_export(out)
    ws = Workspace.open(workspace)
    budgets = {"percent": percent, "rows": rows, "tokens": tokens}
    given = {
        "pool": pool or None,
        "method": method or None,
        "seed": seed,
        "reference": reference or None,
        "budget": budgets if any(value is not None for value in budgets.values()) else None,
        "params": read_settings(settings or []) or None,
        "dedup": None if dedup is None else {"eps": dedup},
    }
    changes = {name: value for name, value in given.items() if value is not None}
    chosen = choose_by(ws, find_recipe(ws, recipe), changes, anyway=anyway)
    finish(ws, chosen, out, strict=strict, as_json=as_json)
