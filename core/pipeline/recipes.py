"""Recipes under a name: saved with what they saw, listed, and replayed to the same rows or not at all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from core import selection
from core.errors import BadInput, StorageError, UnknownName, WinnowError
from core.pipeline.choose import choose, save_selection
from core.pipeline.gather import eligibility, requests, stamp
from core.pipeline.requests import words
from core.pipeline.signals import find_signal
from core.pool import load_pool
from core.pool.mapping import near
from core.values import BEHAVIOURS, Frozen, Pool, Recipe, Reporter, Selection
from core.workspace import Workspace, content_key, read_as, safe_name, write_json

FOLDER = "recipes"
SHOWN = 5  # names of rows, categories or signals in one sentence


class SavedRecipe(Frozen):
    """A recipe under a name, and all that tells whether it would choose the same rows today."""

    name: str
    recipe: Recipe
    pool_fingerprint: str
    split_hash: str
    rows: int  # of the pool
    categories: tuple[str, ...] = ()  # of the pool
    eligible: int
    selection: str  # key of what it chose
    chosen: int  # rows
    rows_hash: str  # of the chosen ids in their order
    signals: dict[str, str]  # need -> key of the signal that met it
    reference: str = ""  # content and split of the reference pool, where the recipe names one
    created: str  # UTC


def save_recipe(ws: Workspace, name: str, chosen: Selection, *, replace: bool = False) -> SavedRecipe:
    """Keep the recipe of a selection under a name, and the selection with it.

    Saving the same again changes nothing; another recipe under a name that is taken needs `replace`, and a
    selection whose pool has changed since cannot be saved: BadInput.
    """
    path = _path(ws, name)
    if name in set(selection.STRATEGIES):
        raise BadInput(f"{name!r} is the name of a strategy; save the recipe under another name")
    saved = _saved(name, chosen, load_pool(ws, chosen.recipe.pool), _reference(ws, chosen.recipe))
    with ws.lock(f"recipe-{name}"):
        if path.exists() and not replace:
            there = _read(path)
            if there.model_copy(update={"created": saved.created}) == saved:
                return there
            raise BadInput(
                f"there is a recipe {name!r} already ({there.recipe.strategy} on {there.recipe.pool}, saved "
                f"{there.created}); choose another name, or replace it on purpose (--replace). Nothing was "
                "changed"
            )
        save_selection(ws, chosen)
        write_json(path, saved)
    return saved


def _reference(ws: Workspace, recipe: Recipe) -> str:
    return stamp(load_pool(ws, recipe.reference)) if recipe.reference else ""


def _saved(name: str, chosen: Selection, pool: Pool, reference: str) -> SavedRecipe:
    train = {str(i) for i in pool.frame["id"].iloc[pool.rows("train")]}
    if pool.fingerprint != chosen.pool_fingerprint or not train.issuperset(chosen.ids):
        raise BadInput(
            f"pool {pool.name!r} has changed since these rows were chosen; choose again, then save the recipe"
        )
    return SavedRecipe(
        name=name,
        recipe=chosen.recipe,
        pool_fingerprint=pool.fingerprint,
        split_hash=pool.split_hash,
        rows=len(pool),
        categories=pool.categories()[0],
        eligible=chosen.eligible,
        selection=chosen.key,
        chosen=len(chosen.ids),
        rows_hash=content_key(chosen.ids),
        signals=chosen.signals,
        reference=reference,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def load_recipe(ws: Workspace, name: str) -> SavedRecipe:
    """The recipe of that name; StorageError when its file is damaged."""
    return _read(_there(ws, name))


def delete_recipe(ws: Workspace, name: str) -> None:
    """Remove the recipe of that name, damaged or not; the rows it chose stay stored."""
    _there(ws, name).unlink(missing_ok=True)


def recipes(ws: Workspace) -> list[SavedRecipe]:
    """Every recipe that can be read, by name; `damaged_recipes` tells of the others."""
    return [found for found in map(_try, _files(ws)) if isinstance(found, SavedRecipe)]


def damaged_recipes(ws: Workspace) -> list[str]:
    """One sentence for each recipe file that cannot be read, naming the file."""
    return [str(found) for found in map(_try, _files(ws)) if isinstance(found, StorageError)]


def recipe_names(ws: Workspace) -> list[str]:
    """The names that are taken, by damaged files too."""
    return [path.stem for path in _files(ws)]


def _path(ws: Workspace, name: str) -> Path:
    return ws.path(FOLDER, f"{safe_name(name, 'recipe name')}.json")


def _files(ws: Workspace) -> list[Path]:
    return sorted(p for p in ws.path(FOLDER).glob("*.json") if not p.name.startswith("."))


def _there(ws: Workspace, name: str) -> Path:
    path = _path(ws, name)
    if not path.is_file():
        known = recipe_names(ws)
        hint = near(name, known) if known else "save one first (python -m core recipe save)"
        raise UnknownName(f"there is no saved recipe {name!r}; {hint}")
    return path


def _read(path: Path) -> SavedRecipe:
    """A copied file is a recipe of its own: the file's name is its name."""
    return read_as(SavedRecipe, path).model_copy(update={"name": path.stem})


def _try(path: Path) -> SavedRecipe | StorageError:
    try:
        return _read(path)
    except StorageError as error:
        return error


def replay(
    ws: Workspace, saved: SavedRecipe, pool: str = "", make: bool = False, reporter: Reporter | None = None
) -> Selection:
    """The rows that the recipe chose when it was saved: exactly these, or a BadInput that says what differs.

    `pool` names another pool with the same rows and split. NotReady names signals that are not computed,
    unless `make` is set.
    """
    check_same(ws, saved, pool)
    recipe = saved.recipe.model_copy(update={"pool": pool or saved.recipe.pool})
    chosen = choose(ws, recipe, make, reporter)
    if content_key(chosen.ids) != saved.rows_hash:
        others = [need for need, key in saved.signals.items() if chosen.signals.get(need) != key]
        why = f"it reads other signals now: {_some(others)}" if others else "its strategy has changed since"
        raise BadInput(
            f"recipe {saved.name!r} no longer chooses the rows it was saved with, though the pool is the "
            f"same; {why}. Bring back the model, scorer or version it was saved with, or choose anew with "
            "--anyway"
        )
    return chosen


def choose_anyway(
    ws: Workspace, recipe: Recipe, make: bool = False, reporter: Reporter | None = None
) -> Selection:
    """Choose by a recipe made for another pool: pins that are not eligible here are left out, and said so."""
    pool = load_pool(ws, recipe.pool)
    here = {str(i) for i in pool.frame["id"].iloc[eligibility(pool, recipe.method).rows]}
    lost = [pin for pin in recipe.pins if pin not in here]
    kept = tuple(pin for pin in recipe.pins if pin in here)
    chosen = choose(ws, recipe.model_copy(update={"pins": kept}), make, reporter)
    if not lost:
        return chosen
    note = f"{len(lost)} pinned rows are not eligible in pool {pool.name!r} and were left out: {_some(lost)}"
    return chosen.model_copy(update={"warnings": (note, *chosen.warnings)})


def check_same(ws: Workspace, saved: SavedRecipe, pool: str = "") -> None:
    """BadInput unless the pool (the recipe's own where none is named) is as it was, saying what differs."""
    name = pool or saved.recipe.pool
    if found := pool_differences(ws, saved, name):
        what = f"pool {name!r} is another one" if name != saved.recipe.pool else f"pool {name!r} has changed"
        raise BadInput(
            f"recipe {saved.name!r} was saved on pool {saved.recipe.pool!r}, and {what}: {'; '.join(found)}. "
            "The same rows cannot be promised: bring the pool back as it was, or choose anew by the same "
            "recipe with --anyway"
        )


def pool_differences(ws: Workspace, saved: SavedRecipe, pool: str = "") -> tuple[str, ...]:
    """What of the pool is not as it was when the recipe was saved, and what the recipe lacks there."""
    now = load_pool(ws, pool or saved.recipe.pool)
    if saved.reference and saved.reference != _reference(ws, saved.recipe):
        return (f"the reference pool {saved.recipe.reference!r} has other rows or another split",)
    if (now.fingerprint, now.split_hash) == (saved.pool_fingerprint, saved.split_hash):
        return ()
    recipe = saved.recipe.model_copy(update={"pool": now.name})
    gone = [name for name in saved.categories if name not in now.categories()[0]]
    said = [f"{len(now):,} rows instead of {saved.rows:,}"] if len(now) != saved.rows else []
    if now.fingerprint != saved.pool_fingerprint:
        said.append(
            f"other contents (fingerprint {now.fingerprint[:12]} instead of {saved.pool_fingerprint[:12]})"
        )
    else:
        said.append("another split into train, validation and test")
    said += [f"categories that are not there: {_some(gone)}"] if gone else []
    return (*said, *_row_gaps(now, saved, recipe), *_need_gaps(ws, now, recipe))


def _row_gaps(now: Pool, saved: SavedRecipe, recipe: Recipe) -> list[str]:
    """What of eligible rows and pins is not as it was."""
    ids, rows = now.ids, eligibility(now, recipe.method).rows
    said = []
    if not recipe.labeller and len(rows) != saved.eligible:  # a labeller may block more rows
        said.append(f"{len(rows):,} rows eligible for {recipe.method} instead of {saved.eligible:,}")
    missing = [pin for pin in recipe.pins if pin not in set(ids)]
    idle = sorted(set(recipe.pins) & set(ids) - {ids[row] for row in rows})
    said += [f"pinned rows that are not there: {_some(missing)}"] if missing else []
    return said + ([f"pinned rows that are not eligible: {_some(idle)}"] if idle else [])


def _need_gaps(ws: Workspace, now: Pool, recipe: Recipe) -> list[str]:
    """Columns that the pool lacks, and signals that are not computed for it."""
    needs, said = selection.needs_of(recipe), []
    typed = recipe.labeller or set(now.frame["behaviour"]) & {*BEHAVIOURS, "unparsed"}
    if "column:category" in needs and not now.categories()[0]:
        said.append("no categories")
    if "column:behaviour" in needs and not typed:
        said.append("no behaviour types")
    missing = []
    for request in requests(recipe, needs).values():
        try:
            if find_signal(ws, request, now if request.pool == now.name else None) is None:
                missing.append(words(request))
        except WinnowError as error:  # a model, scorer or reference pool that is not here
            said.append(str(error))
    return said + ([f"not computed there: {_some(missing)}"] if missing else [])


def _some(names: Sequence[str]) -> str:
    """The names with their number, the first few written out."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
