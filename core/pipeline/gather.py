"""Gathers what a recipe's strategy may look at: eligible rows with their signals, labels, pins and bans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import selection
from core.errors import BadInput, MissingInput
from core.pipeline.requests import NotReady, SignalRequest, request_for
from core.pipeline.signals import find_signal, flags_of, make_signal
from core.pool import Eligibility, add_flags, eligible, load_pool
from core.repair import METHODS
from core.values import Pool, Recipe, Reporter, Rows
from core.workspace import Signal, Workspace

COMPUTED = ("vectors", "cluster", "score", "tokens", "flags")  # kinds of needs that signals meet


@dataclass(frozen=True)
class Seen:
    """What one recipe sees of its pool; held in memory, another budget or weight needs no new reading."""

    pool: Pool  # with the flags of the recipe's labeller
    found: Eligibility  # row numbers of the pool that the candidates stand for
    candidates: selection.Candidates
    signals: dict[str, str]  # need -> digest of the signal that met it
    reference: str = (
        ""  # fingerprint and split of the pool that reference rows came from, where there are any
    )


def eligibility(pool: Pool, method: str) -> Eligibility:
    """The train rows that `method` can learn from, and how many were left out, by reason."""
    return eligible(pool, METHODS[method].needs)


def gather(ws: Workspace, recipe: Recipe, make: bool = False, reporter: Reporter | None = None) -> Seen:
    """What the recipe's strategy may look at, over the eligible rows.

    Missing signals are made when `make` is set, else a NotReady names them.
    """
    pool = load_pool(ws, recipe.pool)
    flags: dict[str, Signal] = {}
    if recipe.labeller:
        flags = _signals(
            ws, requests(recipe, [f"flags:{recipe.labeller}"]), {recipe.pool: pool}, make, reporter
        )
        for signal in flags.values():
            pool = add_flags(pool, flags_of(signal))
    needs = selection.needs_of(recipe)
    found = eligibility(pool, recipe.method)
    if not len(found.rows):
        raise _nothing_eligible(pool, recipe.method, found)
    other = load_pool(ws, recipe.reference) if recipe.reference else pool
    met = _signals(ws, requests(recipe, needs), {pool.name: pool, other.name: other}, make, reporter)
    candidates = _assemble(pool, other, found.rows, recipe, met)
    digests = {need: signal.key.digest for need, signal in (flags | met).items()}
    compared = any(need.startswith("reference:") for need in met)
    return Seen(pool, found, candidates, digests, stamp(other) if compared else "")


def stamp(pool: Pool) -> str:
    """The pool's content and split in one word: what decides which of its rows may be looked at."""
    return f"{pool.fingerprint}:{pool.split_hash}"


def marked(seen: Seen, recipe: Recipe) -> Seen:
    """The same rows and arrays under another recipe's pins and bans; nothing is read anew."""
    candidates, ids = seen.candidates, list(seen.candidates.ids)
    marks = replace(candidates, allowed=_allowed(ids, recipe), taken=_pinned(ids, recipe))
    return replace(seen, candidates=marks)


def requests(recipe: Recipe, needs: Sequence[str]) -> dict[str, SignalRequest]:
    """Need -> the signal that meets it; a reference's vectors are those of the reference pool."""
    asked = {}
    for need in needs:
        kind, name, _ = selection.parse_need(need)
        if kind == "reference":
            pool = recipe.reference or recipe.pool
            asked[f"reference:{name}"] = request_for(f"vectors:{name}", pool, recipe=recipe)
        elif kind in COMPUTED:
            plain = need.removesuffix("?")
            asked[plain] = request_for(plain, recipe.pool, recipe=recipe)
    return asked


def _nothing_eligible(pool: Pool, method: str, found: Eligibility) -> MissingInput:
    columns = " and ".join(need for need in METHODS[method].needs if need != "prompt")
    left_out = "; ".join(f"{count:,} rows: {reason}" for reason, count in found.left_out.items())
    return MissingInput(
        f"pool {pool.name!r} has no row that {method} can learn from: it needs the columns {columns} filled, "
        f"in train rows that are not blocked (left out: {left_out}); import a pool that has them, or take "
        "another repair method"
    )


def _signals(
    ws: Workspace,
    asked: dict[str, SignalRequest],
    pools: dict[str, Pool],
    make: bool,
    reporter: Reporter | None,
) -> dict[str, Signal]:
    met: dict[str, Signal] = {}
    missing: list[SignalRequest] = []
    for need, request in asked.items():
        pool = pools[request.pool]
        signal = make_signal(ws, request, reporter, pool) if make else find_signal(ws, request, pool)
        if signal is None:
            missing.append(request)
        else:
            met[need] = signal
    if missing:
        raise NotReady(tuple(missing))
    return met


def _assemble(
    pool: Pool, other: Pool, rows: Rows, recipe: Recipe, met: dict[str, Signal]
) -> selection.Candidates:
    def of(kind: str, array: str = "values") -> dict[str, NDArray[Any]]:
        return {n.split(":", 1)[1]: s.array(array)[rows] for n, s in met.items() if n.startswith(kind)}

    ids = [str(i) for i in pool.frame["id"].iloc[rows]]
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
        tokens=met["tokens"].array()[rows].astype(np.int64) if "tokens" in met else None,
        references={
            n.split(":", 1)[1]: reference(pool, other, s)
            for n, s in met.items()
            if n.startswith("reference:")
        },
        allowed=_allowed(ids, recipe),
        taken=_pinned(ids, recipe),
    )


def reference(pool: Pool, other: Pool, vectors: Signal) -> selection.Reference:
    """The rows of `other` that the candidates of `pool` may be compared with: never a test row of either.

    Of another pool its train and validation rows, without those whose prompt or whole text stands in a test
    row of `pool`; of the candidates' own pool its validation rows, which no repair trains on.
    """
    if other.fingerprint == pool.fingerprint:  # also under another name or split
        rows = pool.rows("validation")
    else:
        rows = other.rows("train", "validation")
        rows = rows[~tested(pool, other, rows)]
    names, member = other.categories()
    return selection.Reference(
        vectors=np.asarray(vectors.array()[rows]),
        ids=tuple(str(i) for i in other.frame["id"].iloc[rows]),
        category_names=names,
        categories=member[rows],
        failed=(other.column("rejected") != "")[rows],
    )


def tested(pool: Pool, other: Pool, rows: Rows) -> NDArray[np.bool_]:
    """Which of these rows of `other` stand among the test rows of `pool`, by prompt or by whole text."""
    test = pool.rows("test")
    prompts = set(pool.frame["prompt"].iloc[test]) - {""}
    whole = np.array(pool.texts(), dtype=object)[test]
    return np.asarray(
        other.frame["prompt"].iloc[rows].isin(prompts).to_numpy(dtype=bool)
        | np.isin(np.array(other.texts(), dtype=object)[rows], whole)
    )


def _allowed(ids: list[str], recipe: Recipe) -> NDArray[np.bool_]:
    """(n,) False for banned rows; a ban on a row that is not eligible anyway is no mistake."""
    banned = set(recipe.bans)
    return np.array([row_id not in banned for row_id in ids], dtype=bool)


def _pinned(ids: list[str], recipe: Recipe) -> Rows:
    place = {row_id: i for i, row_id in enumerate(ids)} if recipe.pins else {}
    unknown = [row_id for row_id in recipe.pins if row_id not in place]
    if unknown:
        raise BadInput(
            f"{len(unknown)} pinned rows are not eligible for {recipe.method} or not in pool "
            f"{recipe.pool!r}, the first is {unknown[0]!r}; unpin them"
        )
    return np.array([place[p] for p in recipe.pins], dtype=np.int64)
