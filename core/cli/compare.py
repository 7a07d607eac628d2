"""`compare` and `why`: recipes side by side, and one row against one of them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from core import pipeline
from core.cli.options import (
    JsonOption,
    MethodOption,
    PercentOption,
    PoolOption,
    RowsOption,
    WorkspaceOption,
    show,
)
from core.cli.recipes import EXAMPLE, find_recipe
from core.cli.terminal import Terminal
from core.values import Recipe
from core.workspace import Workspace

app = typer.Typer()

RECIPE = "a json file, '-' for standard input, the name of a saved recipe or of a strategy"
MOST_INTERSECTIONS = 12


@app.command("compare")
def compare_command(
    recipes: Annotated[list[str], typer.Argument(help=f"Recipes, each {RECIPE}.")],
    pool: PoolOption = "",
    method: MethodOption = "",
    percent: PercentOption = None,
    rows: RowsOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set selections side by side: coverage, redundancy, balance, cost, and what they share beside chance.

    Missing signals are computed first. Nothing is stored.
    """
    ws = Workspace.open(workspace)
    desk = pipeline.Desk(ws)
    choices = [_choose(ws, desk, text, _changes(pool, method, percent, rows)) for text in recipes]
    found = pipeline.compare(choices, [_name(text, c) for text, c in zip(recipes, choices, strict=True)])
    show(_as_json(found), as_json, _table(found))


@app.command("why")
def why_command(
    recipe: Annotated[str, typer.Argument(help=f"Recipe: {RECIPE}.")],
    row: Annotated[str, typer.Argument(help="Id of the row.")],
    pool: PoolOption = "",
    method: MethodOption = "",
    percent: PercentOption = None,
    rows: RowsOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a recipe chooses a row, or why it does not and from which budget on it would."""
    ws = Workspace.open(workspace)
    choice = _choose(ws, pipeline.Desk(ws), recipe, _changes(pool, method, percent, rows))
    found = pipeline.why(choice, row)
    lines = [f"{row}: {'chosen' if found.chosen else 'not chosen'}", *(f"  {s}" for s in found.sentences)]
    if found.nearest:
        near = ", ".join(f"{row_id} ({cosine:.3f})" for row_id, cosine in found.nearest)
        lines.append(f"  nearest chosen rows by cosine in {found.space}: {near}")
    show(asdict(found), as_json, "\n".join(lines))


def _changes(pool: str, method: str, percent: float | None, rows: int | None) -> dict[str, Any]:
    budget = None if percent is None and rows is None else {"percent": percent, "rows": rows}
    given = {"pool": pool or None, "method": method or None, "budget": budget}
    return {name: value for name, value in given.items() if value is not None}


def _choose(ws: Workspace, desk: pipeline.Desk, text: str, changes: dict[str, Any]) -> pipeline.Choice:
    """The rows by the recipe meant, with the signals it lacks computed first."""
    found = find_recipe(ws, text)
    spec = found.spec | changes
    recipe: Recipe = pipeline.parse(Recipe, spec, f"the recipe {text!r}", see=EXAMPLE)
    if found.saved is not None and (differs := pipeline.pool_differences(ws, found.saved, recipe.pool)):
        typer.echo(
            f"warning: recipe {text!r} chooses anew, its pool was another: {'; '.join(differs)}", err=True
        )
    try:
        return desk.choose(recipe)
    except pipeline.NotReady as missing:
        for request in missing.requests:
            pipeline.make_signal(ws, request, Terminal())
        return desk.choose(recipe)


def _name(text: str, choice: pipeline.Choice) -> str:
    return choice.recipe.strategy if text == "-" else Path(text).stem if text.endswith(".json") else text


def _as_json(found: pipeline.Comparison) -> dict[str, Any]:
    arms = [
        asdict(arm)
        | {
            "category_kl": arm.category_kl,
            "behaviour_kl": arm.behaviour_kl,
            "predicted_seconds": arm.predicted_seconds,
        }
        for arm in found.arms
    ]
    shared = [{"arms": members, "rows": count} for members, count in found.intersections]
    return asdict(found) | {"arms": arms, "intersections": shared}


def _table(found: pipeline.Comparison) -> str:
    """Numbers of each arm, what each two share beside chance, and the largest exclusive intersections."""
    space = f" in {found.space}" if found.space else ""
    head = ["", "rows", "tokens", f"radius{space}", "AUCpr", "redundancy", "category KL", "behaviour KL"]
    lines = _columns([[*head, "shortfall", "chosen in", "repair"], *map(_row, found.arms)])
    names = [arm.name for arm in found.arms]
    if len(names) > 1:
        cells = [
            [f"{found.jaccard[i, j]:.3f} ({found.expected[i, j]:.3f})" for j in range(len(names))]
            for i in range(len(names))
        ]
        rows = [[name, *row] for name, row in zip(names, cells, strict=True)]
        lines += ["", "Jaccard (expected by chance)", *_columns([["", *names], *rows])]
        lines += ["", "rows in exactly these"]
        for members, count in found.intersections[:MOST_INTERSECTIONS]:
            lines.append(f"  {count:>9,}  {', '.join(names[m] for m in members)}")
        left = found.intersections[MOST_INTERSECTIONS:]
        lines += [f"  {sum(c for _, c in left):>9,}  in {len(left):,} smaller intersections"] if left else []
    said = dict.fromkeys(arm.predicted.sentence for arm in found.arms)
    return "\n".join([f"{found.eligible:,} eligible rows", *lines, "", *said])


def _row(arm: pipeline.ComparedArm) -> list[str]:
    numbers = (arm.radius, arm.aucpr, arm.redundancy, arm.category_kl, arm.behaviour_kl)
    return [
        arm.name,
        f"{arm.rows:,}",
        "n/a" if arm.tokens is None else f"{arm.tokens:,}",
        *("n/a" if number is None else f"{number:.3f}" for number in numbers),
        f"{arm.shortfall:,}",
        pipeline.duration(arm.seconds),
        "n/a" if arm.predicted_seconds is None else pipeline.duration(arm.predicted_seconds),
    ]


def _columns(table: list[list[str]]) -> list[str]:
    """The cells under each other, names to the left and numbers to the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
