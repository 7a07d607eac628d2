"""What a workbench keeps at hand, so that another weight, budget, pin or ban reads nothing anew."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import numpy as np
import pandas as pd

from core.pipeline.choose import pick, selection_of
from core.pipeline.gather import Seen, gather, marked, requests
from core.pipeline.requests import key_of, request_for
from core.pipeline.signals import find_signal
from core.pool import read_manifest
from core.selection import STRATEGIES, Candidates, Picked, first_of, needs_of
from core.values import Budget, Pool, Recipe, Reporter, Selection, settings
from core.workspace import Signal, Workspace

SIGHTS = 12  # six arms side by side, and what they were before the last pin
CHOICES = 16
ORDERS = 4  # of each sight: the longest choices of so many settings and seeds
TABLES = {  # field of Candidates -> kind of the needs that fill it
    "vectors": "vectors",
    "clusters": "cluster",
    "membership": "cluster",
    "scores": "score",
    "references": "reference",
}

Made = TypeVar("Made")
Value = TypeVar("Value")
Signals = dict[str, str]  # need -> digest of the signal that meets it
Marks = tuple[tuple[str, ...], tuple[str, ...]]  # pins, bans


@dataclass(frozen=True)
class Choice:
    """One recipe's rows with everything they were chosen from: what a page draws and explains."""

    recipe: Recipe
    seen: Seen = field(repr=False)
    picked: Picked = field(repr=False)
    ws: Workspace = field(repr=False)  # where more is read from: stored vectors, tokens, runs
    order: Picked = field(repr=False)  # the longest choice known of which `picked` is the head
    seconds: float = 0.0  # that the strategy took for `order`
    memo: dict[Any, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    @cached_property
    def selection(self) -> Selection:
        """The choice as a value that is stored."""
        return selection_of(self.seen, self.recipe, self.picked, self.seconds)

    @cached_property
    def exact(self) -> Picked:
        """The choice as the strategy makes it for this very budget: its ledger tells of this budget's end."""
        return self.picked if self.picked is self.order else pick(self.seen, self.recipe)

    @property
    def nested(self) -> bool:
        """Whether a smaller budget's rows are the first rows of a larger one's."""
        return _nested(self.recipe)

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once for this choice; `key` names all it depends on beside the choice."""
        if key not in self.memo:
            self.memo[key] = make()
        return cast(Made, self.memo[key])

    def signal(self, need: str) -> Signal | None:
        """The stored signal that meets a need of this recipe, or None: looks, never computes."""
        return find_signal(self.ws, request_for(need, self.recipe.pool, recipe=self.recipe), self.seen.pool)


class Desk:
    """Recipes of one workspace held in memory; threads may share it.

    Rows are always those of `pipeline.choose`. What is kept is known by content (fingerprint and split of the
    pools, digests of the signals), so a pool or a model that was replaced under its name is read anew.
    Recipes that differ in settings, budget or seed share one Candidates object and what it remembers; one
    that needs less than another, or has other pins or bans, shares its arrays.
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._sights: _Recent[_Sight] = _Recent(SIGHTS)
        self._choices: _Recent[Choice] = _Recent(CHOICES)
        self._lock = threading.Lock()

    def choose(self, recipe: Recipe, reporter: Reporter | None = None) -> Choice:
        """The recipe's rows; NotReady names what must be computed first."""
        with self._lock:
            sight = self._sight(recipe, reporter)
        with sight.lock:  # who asks for the same at the same time waits, and finds it
            key = (sight, recipe.model_dump_json())
            known = self._choices.get(key)
            return known or self._choices.put(key, sight.choose(self.ws, recipe, reporter))

    def instant(self, recipe: Recipe) -> bool:
        """Whether another budget costs only a cut: the strategy is nested with these settings."""
        return _nested(recipe)

    def _sight(self, recipe: Recipe, reporter: Reporter | None) -> _Sight:
        """What the recipe sees: kept, made from what is kept, or read."""
        base, signals = _asked(self.ws, recipe)
        marks = (recipe.pins, recipe.bans)
        key = (base, marks, tuple(sorted(signals.items())))
        if (kept := self._sights.get(key)) is not None:
            return kept
        family = [sight for sight in self._sights.newest() if sight.base == base]
        whole = [sight for sight in family if sight.seen.signals.items() >= signals.items()]
        if whole:
            donor = min(whole, key=lambda sight: sight.marks != marks)
            return self._sights.put(key, _Sight(donor.turned(recipe, signals), base, marks))
        seen = gather(self.ws, recipe, False, reporter)
        for sight in family:
            seen = _sharing(seen, sight.seen)
        return self._sights.put(key, _Sight(seen, base, marks))


class _Recent(Generic[Value]):
    """The last few values by key; those not asked for longest go first."""

    def __init__(self, most: int) -> None:
        self._most, self._values, self._lock = most, OrderedDict[Hashable, Value](), threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            return value

    def newest(self) -> list[Value]:
        with self._lock:
            return list(reversed(self._values.values()))


@dataclass(frozen=True, eq=False)
class _Sight:
    """What recipes of the same needs, pins and bans see, and the longest orders chosen from it."""

    seen: Seen
    base: Hashable
    marks: Marks
    lock: threading.Lock = field(default_factory=threading.Lock)
    orders: _Recent[tuple[Picked, float]] = field(default_factory=lambda: _Recent(ORDERS))

    def choose(self, ws: Workspace, recipe: Recipe, reporter: Reporter | None) -> Choice:
        """The head of an order that is long enough, else a run of the strategy."""
        if not _nested(recipe):
            return self._run(ws, recipe, reporter)
        key = (recipe.strategy, _settings(recipe).model_dump_json(), recipe.seed, recipe.dedup)
        order, seconds = self.orders.get(key) or (None, 0.0)
        head = None if order is None else head_of(order, recipe.budget, self.seen.candidates)
        if order is not None and head is not None:
            return Choice(recipe, self.seen, head, ws, order, seconds)
        run = self._run(ws, recipe, reporter)
        if order is None or len(run.picked.rows) > len(order.rows):
            self.orders.put(key, (run.picked, run.seconds))
        return run

    def _run(self, ws: Workspace, recipe: Recipe, reporter: Reporter | None) -> Choice:
        started = time.perf_counter()
        picked = pick(self.seen, recipe, reporter)
        return Choice(recipe, self.seen, picked, ws, picked, time.perf_counter() - started)

    def turned(self, recipe: Recipe, signals: Signals) -> Seen:
        """The same rows under other pins and bans, or for fewer needs."""
        same = self.marks == (recipe.pins, recipe.bans)
        seen = self.seen if same else marked(self.seen, recipe)
        if signals != seen.signals:
            seen = replace(seen, candidates=_narrowed(seen.candidates, signals), signals=signals)
        if same:  # a weight that goes down to 0 and up again forgets no distance
            seen.candidates.memo.update(self.seen.candidates.memo)
        return seen


def head_of(order: Picked, budget: Budget, candidates: Candidates) -> Picked | None:
    """The first rows of a nested strategy's order that the budget pays for; None where the order may not do.

    Warnings speak of the end of the order, so one that has any is not cut.
    """
    if budget.tokens is not None:
        assert candidates.tokens is not None  # the budget's need
        used = np.cumsum(np.asarray(candidates.tokens, dtype=np.int64)[order.rows])
        count = int(np.searchsorted(used, budget.tokens, side="right"))
        count = -1 if count == len(used) else count  # the next row might fit too
    else:
        count = budget.count(candidates.n)
    if order.warnings or order.shortfall or not max(len(candidates.taken), 1) <= count <= len(order.rows):
        return None
    return order if count == len(order.rows) else first_of(order, count)


def _settings(recipe: Recipe) -> Any:
    return settings(STRATEGIES[recipe.strategy].params, recipe.params, f"strategy {recipe.strategy!r}")


def _nested(recipe: Recipe) -> bool:
    return bool(STRATEGIES[recipe.strategy].nested(_settings(recipe)))


def _asked(ws: Workspace, recipe: Recipe) -> tuple[Hashable, Signals]:
    """What makes two recipes see the same rows, and the signals asked for.

    A signal that is not stored has no digest, which nothing that is kept has: gather will name it.
    """
    names = (recipe.pool, recipe.reference or recipe.pool)
    pools = {name: _unread(ws, name) for name in names}
    flags = [f"flags:{recipe.labeller}"] if recipe.labeller else []
    signals = {}
    for need, request in requests(recipe, [*flags, *needs_of(recipe)]).items():
        key = key_of(ws, request, pools[request.pool])
        signals[need] = "" if ws.signals.get(key) is None else key.digest
    stamps = tuple((name, pools[name].fingerprint, pools[name].split_hash) for name in names)
    labels = tuple(item for item in signals.items() if item[0].startswith("flags:"))
    return (stamps, recipe.method, bool(recipe.reference), labels), signals


def _unread(ws: Workspace, name: str) -> Pool:
    """The pool as its manifest names it, without its rows: enough to know which signals belong to it."""
    manifest = read_manifest(ws, name)
    return Pool(name, pd.DataFrame(), manifest["fingerprint"], manifest["split_hash"])


def _narrowed(candidates: Candidates, signals: Signals) -> Candidates:
    """The candidates with only what these signals bring."""
    tables: dict[str, Any] = {
        part: {
            name: value for name, value in getattr(candidates, part).items() if f"{kind}:{name}" in signals
        }
        for part, kind in TABLES.items()
    }
    return replace(candidates, tokens=candidates.tokens if "tokens" in signals else None, **tables)


def _sharing(new: Seen, old: Seen) -> Seen:
    """`new` with the pool and those arrays of `old` that are equal, so that memory holds them once."""
    same = {need for need, _ in new.signals.items() & old.signals.items()}
    mine, theirs = new.candidates, old.candidates
    tables: dict[str, Any] = {
        part: {
            name: getattr(theirs, part)[name] if f"{kind}:{name}" in same else value
            for name, value in getattr(mine, part).items()
        }
        for part, kind in TABLES.items()
    }
    rowwise = {name: getattr(theirs, name) for name in ("ids", "categories", "behaviour", "blocked", "group")}
    tokens = theirs.tokens if "tokens" in same else mine.tokens
    candidates = replace(mine, tokens=tokens, **tables, **rowwise)
    return replace(new, pool=old.pool, found=old.found, candidates=candidates)
