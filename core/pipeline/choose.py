"""From a recipe to a stored selection: gather what the strategy may look at, run it, name what it took."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import selection
from core.errors import BadInput, MissingInput, UnknownName
from core.pipeline.requests import NotReady, SignalRequest, inputs_of, request_for
from core.pipeline.signals import find_signal, flags_of, make_signal
from core.pool import Eligibility, add_flags, eligible, load_pool
from core.repair import METHODS
from core.values import Pool, Recipe, Reporter, Rows, Selection, Silent, settings
from core.workspace import (
    Signal,
    Workspace,
    content_key,
    plain,
    read_as,
    write_bytes,
    write_json,
    write_parquet,
)

EXPORTS = (".jsonl", ".csv", ".parquet")


def eligibility(pool: Pool, method: str) -> Eligibility:
    """The train rows that `method` can learn from, and how many were left out, by reason."""
    return eligible(pool, METHODS[method].needs)


def _nothing_eligible(pool: Pool, method: str, found: Eligibility) -> MissingInput:
    columns = " and ".join(need for need in METHODS[method].needs if need != "prompt")
    left_out = "; ".join(f"{count:,} rows: {reason}" for reason, count in found.left_out.items())
    return MissingInput(
        f"pool {pool.name!r} has no row that {method} can learn from: it needs the columns {columns} filled, "
        f"in train rows that are not blocked (left out: {left_out}); import a pool that has them, or take "
        "another repair method"
    )


def candidates(
    ws: Workspace, recipe: Recipe, make: bool = False, reporter: Reporter | None = None
) -> tuple[selection.Candidates, Eligibility, dict[str, str]]:
    """What the recipe's strategy may look at, over the eligible rows; and need -> digest of its signal.

    Missing signals are made when `make` is set, else a NotReady names them.
    """
    pool = load_pool(ws, recipe.pool)
    labels: dict[str, Signal] = {}
    if recipe.labeller:
        labels = _signals(ws, recipe, [f"flags:{recipe.labeller}"], pool, make, reporter)
        for signal in labels.values():
            pool = add_flags(pool, flags_of(signal))
    spec = selection.STRATEGIES[recipe.strategy]
    params = settings(spec.params, recipe.params, f"strategy {recipe.strategy!r}")
    found = eligibility(pool, recipe.method)
    if not len(found.rows):
        raise _nothing_eligible(pool, recipe.method, found)
    needs = spec.needs(params)
    computed = [need for need in needs if need.split(":")[0] in ("vectors", "cluster", "score")]
    met = _signals(ws, recipe, computed, pool, make, reporter)
    digests = {need: signal.key.digest for need, signal in (labels | met).items()}
    return _assemble(pool, found.rows, recipe, needs, met), found, digests


def _signals(
    ws: Workspace, recipe: Recipe, needs: Sequence[str], pool: Pool, make: bool, reporter: Reporter | None
) -> dict[str, Signal]:
    met: dict[str, Signal] = {}
    missing: list[SignalRequest] = []
    for need in needs:
        request = request_for(need, recipe.pool, recipe=recipe)
        signal = make_signal(ws, request, reporter, pool) if make else find_signal(ws, request, pool)
        if signal is None:
            missing.append(request)
        else:
            met[need] = signal
    if missing:
        raise NotReady(tuple(missing))
    return met


def _assemble(
    pool: Pool, rows: Rows, recipe: Recipe, needs: Sequence[str], met: dict[str, Signal]
) -> selection.Candidates:
    def of(kind: str, array: str = "values") -> dict[str, NDArray[Any]]:
        return {n.split(":", 1)[1]: s.array(array)[rows] for n, s in met.items() if n.startswith(kind)}

    ids = [str(i) for i in pool.frame["id"].iloc[rows]]
    place = {row_id: i for i, row_id in enumerate(ids)}
    unknown = [row_id for row_id in recipe.pins if row_id not in place]
    if unknown:
        raise BadInput(
            f"{len(unknown)} pinned rows are not eligible for {recipe.method} or not in pool "
            f"{recipe.pool!r}, the first is {unknown[0]!r}; unpin them"
        )
    allowed = (
        ~np.isin(np.array(ids, dtype=object), list(recipe.bans)) if recipe.bans else np.ones(len(ids), bool)
    )
    names, member = pool.categories()
    scores = {
        n.split(":", 1)[1]: selection.Score(s.array()[rows], s.facts["direction"])
        for n, s in met.items()
        if n.startswith("score:")
    }
    return selection.Candidates(
        n=len(rows),
        ids=tuple(ids),
        vectors=of("vectors:"),
        clusters=of("cluster:"),
        membership=of("cluster:", "membership"),
        scores=scores,
        category_names=names,
        categories=member[rows],
        behaviour=pool.column("behaviour")[rows],
        blocked=pool.frame["blocked"].to_numpy(dtype=bool)[rows],
        group=pool.column("group")[rows],
        allowed=allowed,
        taken=np.array([place[p] for p in recipe.pins], dtype=np.int64),
    )


def choose(ws: Workspace, recipe: Recipe, make: bool = False, reporter: Reporter | None = None) -> Selection:
    """Run the recipe: the same recipe on the same pool gives the same rows."""
    reporter = reporter or Silent()
    seen, found, digests = candidates(ws, recipe, make, reporter)
    started = time.perf_counter()
    picked = selection.select(
        recipe.strategy, seen, recipe.budget.count(seen.n), recipe.params, seed=recipe.seed, reporter=reporter
    )
    pool = load_pool(ws, recipe.pool)
    return Selection(
        key=content_key(
            {"recipe": recipe, "pool": pool.fingerprint, "split": pool.split_hash, "signals": digests}
        ),
        recipe=recipe,
        pool_fingerprint=pool.fingerprint,
        ids=tuple(seen.ids[r] for r in picked.rows),
        reasons=tuple(picked.reasons),
        eligible=seen.n,
        left_out=found.left_out,
        shortfall=picked.shortfall,
        warnings=tuple(picked.warnings),
        signals=digests,
        seconds=round(time.perf_counter() - started, 4),
    )


def selecting_seconds(ws: Workspace, chosen: Selection, pool: Pool) -> float:
    """Seconds that choosing took, and making every signal it looked at, even where that was done before.

    A strategy must not look cheap because another one had the pool embedded first.
    """
    recipe, made = chosen.recipe, dict[str, float]()
    open_requests = [request_for(need, recipe.pool, recipe=recipe) for need in chosen.signals]
    while open_requests:
        request = open_requests.pop()
        open_requests += inputs_of(request).values()
        if (signal := find_signal(ws, request, pool)) is not None:
            made[signal.key.digest] = float(signal.manifest["seconds"])
    return chosen.seconds + sum(made.values())


def save_selection(ws: Workspace, chosen: Selection) -> str:
    """Store the selection under its key; returns the key."""
    write_json(ws.path("selections", f"{chosen.key}.json"), chosen)
    return chosen.key


def load_selection(ws: Workspace, key: str) -> Selection:
    """The stored selection of that key."""
    path = ws.find("selections", f"{key}.json")
    if path is None:
        raise UnknownName(f"no stored selection {key!r}; make one on the Selection page or with `select`")
    return read_as(Selection, path)


def selections(ws: Workspace) -> list[Selection]:
    """Every stored selection, newest first."""
    files = list(ws.path("selections").glob("*.json"))
    return [read_as(Selection, p) for p in sorted(files, key=lambda p: -p.stat().st_mtime)]


def check_export(path: Path) -> None:
    """BadInput unless the name says a format that `export_selection` writes."""
    if path.suffix.lower() not in EXPORTS:
        raise BadInput(f"{path.name}: cannot tell the format; end the name with {', '.join(EXPORTS)}")


def export_selection(ws: Workspace, chosen: Selection, path: Path) -> None:
    """Write the chosen rows in plain text, in their order with their reasons, as one of EXPORTS."""
    check_export(path)
    pool = load_pool(ws, chosen.recipe.pool)
    place = {row_id: i for i, row_id in enumerate(pool.ids)}
    frame = pool.frame.iloc[[place[row_id] for row_id in chosen.ids]].reset_index(drop=True)
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    frame["reason"] = [json.dumps(plain(reason), ensure_ascii=False) for reason in chosen.reasons]
    kind = path.suffix.lower()
    if kind == ".parquet":
        write_parquet(path, frame)
    elif kind == ".jsonl":
        write_bytes(path, frame.to_json(orient="records", lines=True, force_ascii=False).encode())
    else:
        flat = frame.assign(category=["|".join(row) for row in frame["category"]])
        write_bytes(path, flat.to_csv(index=False).encode())
