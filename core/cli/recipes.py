"""`recipe save`, `list`, `show`, `diff`, `delete` and `replay`; and how `select` reads a recipe and ends."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from core import pipeline
from core.cli.options import JsonOption, WorkspaceOption, read_input, show
from core.cli.terminal import Terminal
from core.errors import BadBudget, BadInput, UnknownName
from core.pool.mapping import near
from core.selection import STRATEGIES
from core.values import Recipe, Selection
from core.workspace import Workspace, plain

app = typer.Typer(no_args_is_help=True, help="Keep recipes under a name, compare and replay them.")

AnywayOption = Annotated[
    bool,
    typer.Option(
        "--anyway",
        help="Choose anew where a saved recipe's pool has changed or is another one: other rows, and pins "
        "that are not eligible there are left out.",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Fail with exit code 2, writing nothing, where fewer rows than asked can be chosen (without it "
        "that is a warning and exit code 0).",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Write the chosen rows with rank and reasons, in plain text: to a .jsonl, .csv (formulas made "
        "harmless) or .parquet file, or, without an ending, to a Hugging Face data set folder."
    ),
]
RecipeArgument = Annotated[
    str, typer.Argument(help="Name of a saved recipe, or a recipe's json file ('-' for standard input).")
]
SELECTION_KEY = re.compile(r"[0-9a-f]{16}")
EXAMPLE = "select --print-example"


@dataclass(frozen=True)
class Found:
    """A recipe as json, and what it saw when it was saved, if it was."""

    spec: dict[str, Any]
    saved: pipeline.SavedRecipe | None = None


def find_recipe(ws: Workspace, text: str) -> Found:
    """The recipe meant by a json file, '-', the name of a saved recipe or the name of a strategy."""
    if text == "-" or os.path.isfile(text) or text.endswith(".json"):
        spec = read_input(Path(text))
        if not spec.keys() >= {"recipe", "pool_fingerprint"}:
            return Found(spec)
        saved = pipeline.parse(pipeline.SavedRecipe, spec, "the saved recipe", see="recipe show")
        return Found(saved.recipe.model_dump(mode="json"), saved)
    kept = pipeline.recipe_names(ws)
    if text in kept:
        saved = pipeline.load_recipe(ws, text)
        return Found(saved.recipe.model_dump(mode="json"), saved)
    if text not in set(STRATEGIES):
        raise UnknownName(
            f"there is no file, saved recipe or strategy {text!r}; {near(text, [*STRATEGIES, *kept])}"
        )
    return Found({"strategy": text})


def choose_by(ws: Workspace, found: Found, changes: dict[str, Any], *, anyway: bool) -> Selection:
    """The rows by the recipe with `changes` made to it; a saved one that is not changed is replayed."""
    pool, saved = changes.get("pool", ""), found.saved
    if saved is not None and not anyway:
        if changes.keys() <= {"pool"}:
            return pipeline.replay(ws, saved, pool, make=True, reporter=Terminal())
        pipeline.check_same(ws, saved, pool)
    spec = found.spec | changes
    for name in {"params", "dedup"} & changes.keys() & found.spec.keys():  # in these, single settings change
        if isinstance(found.spec[name], dict):
            spec[name] = found.spec[name] | changes[name]
    recipe = pipeline.parse(Recipe, spec, "the recipe", see=EXAMPLE)
    choose = pipeline.choose_anyway if anyway else pipeline.choose
    return choose(ws, recipe, make=True, reporter=Terminal())


def finish(ws: Workspace, chosen: Selection, out: Path | None, *, strict: bool, as_json: bool) -> None:
    """Say what is short, keep the selection, write its rows, print it."""
    asked = len(chosen.ids) + chosen.shortfall
    short = f"{asked:,} rows were asked, only {len(chosen.ids):,} could be chosen" if chosen.shortfall else ""
    if short and strict:
        raise BadBudget(f"{'; '.join((short, *chosen.warnings))}; nothing was written (--strict)")
    for said in filter(None, (short, *chosen.warnings)):
        typer.echo(f"warning: {said}", err=True)
    pipeline.save_selection(ws, chosen)
    if out is not None:
        pipeline.export_selection(ws, chosen, out)
        typer.echo(f"written in plain text (not masked) to {out}", err=True)
    show(chosen, as_json, _selection_text(chosen))


def _selection_text(chosen: Selection) -> str:
    lines = [
        f"selection {chosen.key}: {len(chosen.ids):,} of {chosen.eligible:,} eligible rows "
        f"({chosen.seconds:.2f} s)"
    ]
    lines += [f"  shortfall: {chosen.shortfall:,} rows"] if chosen.shortfall else []
    lines += [f"  tokens: {chosen.tokens:,}"] if chosen.tokens is not None else []
    lines += [f"  set aside as near-duplicates: {chosen.set_aside:,} rows"] if chosen.set_aside else []
    return "\n".join(lines + [f"  left out: {n:,} rows, {reason}" for reason, n in chosen.left_out.items()])


@app.command("save")
def recipe_save(
    name: Annotated[str, typer.Argument(help="Name to keep it under.")],
    source: Annotated[
        str,
        typer.Argument(
            help="Key of a stored selection, as `select` prints it; or a recipe (json file, '-' or saved "
            "name), which is chosen by first."
        ),
    ],
    replace: Annotated[bool, typer.Option(help="Replace a recipe of that name.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the recipe of a selection under a name, so that its rows can be chosen again."""
    ws = Workspace.open(workspace)
    if SELECTION_KEY.fullmatch(source) and source not in pipeline.recipe_names(ws):
        chosen = pipeline.load_selection(ws, source)
    else:
        chosen = choose_by(ws, find_recipe(ws, source), {}, anyway=False)
    saved = pipeline.save_recipe(ws, name, chosen, replace=replace)
    show(saved, as_json, f"saved {_line(saved)}")


@app.command("list")
def recipe_list(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the saved recipes; files that cannot be read are named as warnings."""
    ws = Workspace.open(workspace)
    for said in pipeline.damaged_recipes(ws):
        typer.echo(f"warning: {said}", err=True)
    found = pipeline.recipes(ws)
    empty = "no recipes yet; save one with: python -m core recipe save NAME SELECTION"
    show(found, as_json, "\n".join(map(_line, found)) or empty)


def _line(saved: pipeline.SavedRecipe) -> str:
    recipe = saved.recipe
    return (
        f"{saved.name}: {recipe.strategy} on {recipe.pool}, {recipe.budget.words}, {saved.chosen:,} of "
        f"{saved.eligible:,} eligible rows, saved {saved.created}"
    )


@app.command("show")
def recipe_show(
    name: Annotated[str, typer.Argument(help="Name of a saved recipe.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a saved recipe as json, which `select` and `recipe replay` read back from a file."""
    saved = pipeline.load_recipe(Workspace.open(workspace), name)
    show(saved, as_json, json.dumps(plain(saved), indent=1, ensure_ascii=False))


@app.command("diff")
def recipe_diff(
    left: RecipeArgument,
    right: RecipeArgument,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every field in which two recipes differ; defaults that were left out are no difference."""
    ws = Workspace.open(workspace)
    a, b = (
        pipeline.parse(Recipe, find_recipe(ws, text).spec, f"the recipe {text!r}", see=EXAMPLE)
        for text in (left, right)
    )
    changes = pipeline.diff(a, b)
    lines = [f"{c.field}: {_value(c.left)} -> {_value(c.right)}" for c in changes]
    rows = [{"field": c.field, "left": c.left, "right": c.right} for c in changes]
    show(rows, as_json, "\n".join(lines) or "no difference")


def _value(value: Any) -> str:
    if value is None or value == "":
        return "(none)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@app.command("delete")
def recipe_delete(
    name: Annotated[str, typer.Argument(help="Name of a saved recipe.")], workspace: WorkspaceOption = None
) -> None:
    """Remove a saved recipe; the rows it chose stay stored."""
    pipeline.delete_recipe(Workspace.open(workspace), name)
    typer.echo(f"deleted recipe {name}")


@app.command("replay")
def recipe_replay(
    recipe: Annotated[
        str, typer.Argument(help="Name of a saved recipe, or the json that `recipe show` prints.")
    ],
    pool: Annotated[str, typer.Option(help="Another pool that holds the same rows in the same split.")] = "",
    anyway: AnywayOption = False,
    strict: StrictOption = False,
    out: OutOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the very rows that a recipe was saved with, or say what differs."""
    if out is not None:
        pipeline.check_export(out)
    ws = Workspace.open(workspace)
    found = find_recipe(ws, recipe)
    if found.saved is None:
        raise BadInput(
            f"{recipe!r} is no saved recipe, so there are no rows to compare with; use select, then recipe "
            "save"
        )
    chosen = choose_by(ws, found, {"pool": pool} if pool else {}, anyway=anyway)
    finish(ws, chosen, out, strict=strict, as_json=as_json)
