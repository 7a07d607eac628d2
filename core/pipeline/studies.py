"""Studies: a grid of repairs written down as one file, and its cells with the runs that answer them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from core.errors import BadInput, UnknownName
from core.pipeline.gather import eligibility
from core.pipeline.names import default_model, default_scorer
from core.pipeline.predict import planned_passes
from core.pipeline.runs import find_asked
from core.pipeline.study_numbers import FULL, Cell, Numbers
from core.pipeline.study_table import table
from core.pool import load_pool, read_manifest
from core.pool.mapping import near
from core.repair import METHODS
from core.selection import STRATEGIES
from core.values import Budget, Panel, Recipe, RepairSpec, settings
from core.values.study import StudyMethod, StudySpec, StudyStrategy
from core.workspace import (
    Workspace,
    atomic_folder,
    content_key,
    read_as,
    safe_name,
    write_json,
    write_parquet,
)

FOLDER, SPEC, TABLE = "studies", "spec.json", "runs.parquet"
OWN = {"pool", "strategy", "params", "budget", "seed", "method"}  # of a recipe, said by the grid itself
EVERYTHING = Budget(rows=None, percent=100.0)


def cells(ws: Workspace, spec: StudySpec) -> list[Cell]:
    """Every run of the study, cheap first and full-data runs last, each with the finished run, if any.

    A study asks for numbers: a run that kept no model answers unless all models are to be kept.
    """
    check_study(ws, spec)
    pool = load_pool(ws, spec.pool)
    eligible = {m.method: len(eligibility(pool, m.method).rows) for m in spec.methods}
    usual = {"model": default_model(ws, spec.pool), "scorer": default_scorer(ws, spec.pool)}
    reads = {name: given for name in usual if (given := getattr(spec, name)) not in ("", usual[name])}
    found = []
    for method in spec.methods:
        count = eligible[method.method]
        for seed in spec.seeds:
            for strategy in spec.strategies:
                for budget in spec.budgets:
                    recipe = _recipe(spec, strategy, budget, method, seed, reads)
                    found.append(_cell(ws, spec, recipe, _label(strategy), method, seed, count))
            if spec.full:
                whole = StudyStrategy(strategy="uniform")
                recipe = _recipe(spec, whole, EVERYTHING, method, seed, reads)
                found.append(_cell(ws, spec, recipe, FULL, method, seed, count, full=True))
    return sorted(_once(found), key=lambda c: (c.full, c.work, c.seed))


def missing(found: Iterable[Cell]) -> list[Cell]:
    """The cells still to be run, in their order."""
    return [cell for cell in found if cell.run is None]


def _label(named: StudyStrategy | StudyMethod) -> str:
    return named.label or (named.strategy if isinstance(named, StudyStrategy) else named.method)


def _recipe(
    spec: StudySpec,
    strategy: StudyStrategy,
    budget: Budget,
    method: StudyMethod,
    seed: int,
    reads: dict[str, str],
) -> Recipe:
    """What chooses the cell's rows; `reads` are model and scorer where the pool suggests others."""
    given = reads | strategy.recipe | {"pool": spec.pool, "strategy": strategy.strategy}
    given |= {"params": strategy.params, "budget": budget, "seed": seed, "method": method.method}
    return Recipe.model_validate(given)


def _cell(
    ws: Workspace,
    spec: StudySpec,
    recipe: Recipe,
    strategy: str,
    method: StudyMethod,
    seed: int,
    eligible: int,
    *,
    full: bool = False,
) -> Cell:
    budget = recipe.budget
    label = f"{strategy if full else f'{strategy}, {budget.words}'}, {_label(method)}, seed {seed}"
    params = method.params | (method.full_params if full else {})
    asked = RepairSpec(
        name=f"{spec.name}: {label}",
        selection=recipe,
        method=method.method,
        params=params,
        model=spec.model,
        seed=seed,
        normal=spec.normal,
        mix=spec.mix,
        panel=Panel(every=0),  # nobody watches hundreds of runs; "evaluate now" still looks
        evaluation=spec.evaluation,
        scorer=spec.scorer,
        keep_model="none" if spec.keep_model == "none" else "changed",
        device=spec.device,
    )
    rows = max(budget.count(eligible), 0)
    known = settings(METHODS[method.method].params, params, f"repair method {method.method!r}")
    return Cell(
        label=label,
        strategy=strategy,
        budget=budget,
        method=_label(method),
        seed=seed,
        full=full,
        spec=asked,
        run=find_asked(ws, asked if spec.keep_model == "changed" else _numbers_only(asked)),
        rows=rows,
        work=planned_passes(method.method, known, max(rows, 1)),
    )


def _numbers_only(spec: RepairSpec) -> RepairSpec:
    return spec.model_copy(update={"keep_model": "none"})


def _once(found: Sequence[Cell]) -> list[Cell]:
    """Cells that ask for the same run are one: the full-data run where it is among them."""
    kept: dict[str, Cell] = {}
    for cell in found:
        key = content_key(cell.spec.model_dump(mode="json", exclude={"name"}))
        if cell.full or key not in kept:
            kept[key] = cell
    return list(kept.values())


def check_study(ws: Workspace, spec: StudySpec) -> None:
    """BadInput or UnknownName where a name, a setting or two equal labels make the study impossible."""
    safe_name(spec.name, "study name")
    read_manifest(ws, spec.pool)  # it is there
    for kind, labels in (
        ("strategies", [_label(s) for s in spec.strategies]),
        ("methods", [_label(m) for m in spec.methods]),
        ("budgets", [b.words for b in spec.budgets]),
        ("seeds", [str(s) for s in spec.seeds]),
    ):
        label, count = Counter(labels).most_common(1)[0]
        if count > 1:
            raise BadInput(
                f"{count} of the study's {kind} are called {label!r}; give each a label of its own"
            )
    if FULL in (names := [_label(s) for s in spec.strategies]):
        raise BadInput(f"{FULL!r} names the full-data runs; give that strategy another label than {names}")
    for strategy in spec.strategies:
        settings(STRATEGIES[strategy.strategy].params, strategy.params, f"strategy {strategy.strategy!r}")
        if stray := sorted(set(strategy.recipe) & OWN):
            raise BadInput(
                f"the recipe of strategy {_label(strategy)!r} sets {stray[0]!r}, which the study itself "
                "says; leave it out there"
            )
        if stray := sorted(set(strategy.recipe) - set(Recipe.model_fields)):
            raise BadInput(
                f"a recipe has no field {stray[0]!r} (strategy {_label(strategy)!r}); its fields are "
                f"{', '.join(sorted(set(Recipe.model_fields) - OWN))}"
            )
    for method in spec.methods:
        for params in (method.params, method.params | method.full_params):
            settings(METHODS[method.method].params, params, f"repair method {method.method!r}")


def save_study(ws: Workspace, spec: StudySpec, *, replace: bool = False) -> Path:
    """Write the study down; the path of its file. Saving the same again changes nothing.

    Another study under a name that is taken needs `replace`: BadInput otherwise. The replaced file stays
    beside the new one, and no run is lost.
    """
    check_study(ws, spec)
    path = _path(ws, spec.name)
    with ws.lock(f"study-{spec.name}"):
        if path.is_file():
            there = read_as(StudySpec, path)
            if there == spec:
                return path
            if not replace:
                raise BadInput(
                    f"there is another study {spec.name!r} already ({_grid(there)}); choose another name, or "
                    "replace it on purpose (--replace). Nothing was changed"
                )
            write_json(path.with_name(f"spec-{content_key(there)}.json"), there)
        write_json(path, spec)
    return path


def _grid(spec: StudySpec) -> str:
    return (
        f"{len(spec.strategies)} strategies x {len(spec.budgets)} budgets x {len(spec.methods)} methods x "
        f"{len(spec.seeds)} seeds on {spec.pool}"
    )


def load_study(ws: Workspace, name: str) -> StudySpec:
    """The study of that name; a copied folder is a study of its own, its folder's name is its name."""
    return read_as(StudySpec, _there(ws, name)).model_copy(update={"name": name})


def study_names(ws: Workspace) -> list[str]:
    """Names of the studies that are written down."""
    return sorted(ws.folders(FOLDER, SPEC))


def delete_study(ws: Workspace, name: str) -> None:
    """Remove the study and its table; the runs it is made of stay, with their models."""
    folder = _there(ws, name).parent
    if not folder.is_relative_to(ws.root):
        raise BadInput(f"study {name!r} came with the program and is not deleted")
    with ws.lock(f"study-{name}"):
        with atomic_folder(folder):  # empties it in one move: no half study is ever seen
            pass
        shutil.rmtree(folder, ignore_errors=True)


def _path(ws: Workspace, name: str) -> Path:
    return ws.path(FOLDER, safe_name(name, "study name"), SPEC)


def _there(ws: Workspace, name: str) -> Path:
    path = ws.find(FOLDER, safe_name(name, "study name"), SPEC)
    if path is None:
        known = study_names(ws)
        hint = near(name, known) if known else "write one down first (python -m core study SPEC)"
        raise UnknownName(f"there is no study {name!r}; {hint}")
    return path


def study_table(ws: Workspace, spec: StudySpec) -> pd.DataFrame:
    """One row per finished run: where it stands in the grid, and every number with low, high and n."""
    return table(spec.name, Numbers(ws, cells(ws, spec)))


def write_table(ws: Workspace, spec: StudySpec) -> Path:
    """Store the table as WORKSPACE/studies/NAME/runs.parquet; its path."""
    path = ws.path(FOLDER, safe_name(spec.name, "study name"), TABLE)
    write_parquet(path, study_table(ws, spec))
    return path
