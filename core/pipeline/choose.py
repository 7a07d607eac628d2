"""From a recipe to a stored selection: run its strategy on what it sees, name what it took."""

from __future__ import annotations

import time

from core import selection
from core.errors import UnknownName
from core.pipeline.gather import Seen, gather, requests
from core.pipeline.requests import inputs_of
from core.pipeline.signals import find_signal
from core.values import Pool, Recipe, Reporter, Selection
from core.workspace import Workspace, content_key, read_as, write_json


def choose(ws: Workspace, recipe: Recipe, make: bool = False, reporter: Reporter | None = None) -> Selection:
    """Run the recipe: the same recipe on the same pool gives the same rows."""
    seen = gather(ws, recipe, make, reporter)
    started = time.perf_counter()
    picked = pick(seen, recipe, reporter)
    return selection_of(seen, recipe, picked, time.perf_counter() - started)


def pick(seen: Seen, recipe: Recipe, reporter: Reporter | None = None) -> selection.Picked:
    """The rows of what is seen that the recipe chooses."""
    return selection.select(
        recipe.strategy,
        seen.candidates,
        recipe.budget,
        recipe.params,
        seed=recipe.seed,
        reporter=reporter,
        dedup=recipe.dedup,
    )


def selection_of(seen: Seen, recipe: Recipe, picked: selection.Picked, seconds: float = 0.0) -> Selection:
    """The choice as a value that is stored: row ids with their reasons, and what they came from."""
    candidates, pool = seen.candidates, seen.pool
    made = {"recipe": recipe, "pool": pool.fingerprint, "split": pool.split_hash, "signals": seen.signals}
    return Selection(
        key=content_key(made | ({"reference": seen.reference} if seen.reference else {})),
        recipe=recipe,
        pool_fingerprint=pool.fingerprint,
        ids=tuple(candidates.ids[r] for r in picked.rows),
        reasons=tuple(picked.reasons),
        eligible=candidates.n,
        left_out=seen.found.left_out,
        set_aside=0 if picked.stands_for is None else int((picked.stands_for >= 0).sum()),
        tokens=None if candidates.tokens is None else int(candidates.tokens[picked.rows].sum()),
        shortfall=picked.shortfall,
        warnings=tuple(picked.warnings),
        signals=seen.signals,
        seconds=round(seconds, 4),
    )


def selecting_seconds(ws: Workspace, chosen: Selection, pool: Pool) -> float:
    """Seconds that choosing took, and making every signal it looked at, even where that was done before.

    A strategy must not look cheap because another one had the pool embedded first.
    """
    made: dict[str, float] = {}
    open_requests = [*requests(chosen.recipe, tuple(chosen.signals)).values()]
    while open_requests:
        request = open_requests.pop()
        open_requests += inputs_of(request).values()
        signal = find_signal(ws, request, pool if request.pool == pool.name else None)
        if signal is not None:
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
