"""What a selection strategy is given, and what it promises back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

from core.errors import BrokenContract
from core.registry import Registry
from core.values import BEHAVIOURS, Params, Reason, Reporter, Rows

Needs = Callable[[Any], tuple[str, ...]]  # settings -> what must be there before picking
Made = TypeVar("Made")
REMEMBERED = 64  # arrays that candidates keep of what was made from them
Nested = Callable[[Any], bool]  # settings -> whether a smaller budget's rows are a larger one's first rows


def parse_need(need: str) -> tuple[str, str, bool]:
    """(kind, name, strict): "score:ifd?" asks for a score that rows may lack, "score:ifd" for all of it."""
    kind, _, name = need.partition(":")
    return kind, name.removesuffix("?"), not name.endswith("?")


@dataclass(frozen=True)
class Score:
    """One number per row, and what a high one means ("harder", "more toxic", "easier" ...)."""

    values: NDArray[np.floating[Any]]  # (n,)
    higher_is: str = "harder"

    @property
    def hardness(self) -> NDArray[np.float64]:
        """The values as float64 with the sign that makes higher harder: only "easier" scores are turned."""
        values = np.asarray(self.values, dtype=np.float64)
        return -values if "easier" in self.higher_is.lower() else values


@dataclass(frozen=True)
class Reference:
    """Rows of another pool, or of this one's validation split, that candidates are compared with."""

    vectors: NDArray[np.floating[Any]]  # (m, d), in the space of the candidates' vectors of the same name
    ids: tuple[str, ...] = ()
    category_names: tuple[str, ...] = ()
    categories: NDArray[np.bool_] | None = None  # (m, C)
    failed: NDArray[np.bool_] | None = (
        None  # (m,) rows with a bad answer on record: what a repair should reach
    )

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Candidates:
    """Everything row-wise that a strategy may look at: arrays over the n eligible rows, in pool order.

    Vectors are `(n, d)`, all else is `(n,)` but `categories`, `(n, C)`. Row numbers are positions in these
    arrays. Arrays may be read-only; strategies never write into them.
    """

    n: int
    ids: tuple[str, ...] = ()
    vectors: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)  # space -> (n, d)
    clusters: Mapping[str, NDArray[np.integer[Any]]] = field(default_factory=dict)  # -1 marks noise
    membership: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)  # probability in [0, 1]
    scores: Mapping[str, Score] = field(default_factory=dict)
    category_names: tuple[str, ...] = ()
    categories: NDArray[np.bool_] | None = None  # (n, C)
    behaviour: NDArray[Any] | None = None  # "T1".."T4", "unparsed" or "not_run"
    blocked: NDArray[np.bool_] | None = None  # None = no row; no text of a blocked row may be trained toward
    group: NDArray[Any] | None = None
    tokens: NDArray[np.integer[Any]] | None = None  # what a row costs a budget that is counted in tokens
    references: Mapping[str, Reference] = field(default_factory=dict)  # space -> rows to compare with
    allowed: NDArray[np.bool_] | None = None  # None = every row; False marks a banned one
    taken: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # pinned rows, inside the budget
    memo: dict[Any, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        rowwise: list[NDArray[Any]] = [
            *self.vectors.values(),
            *self.clusters.values(),
            *self.membership.values(),
        ]
        rowwise += [s.values for s in self.scores.values()]
        optional = (self.categories, self.behaviour, self.blocked, self.group, self.tokens, self.allowed)
        rowwise += [a for a in optional if a is not None]
        lengths = {len(a) for a in rowwise} | ({len(self.ids)} if self.ids else set())
        if lengths - {self.n}:
            raise BrokenContract(f"candidates have {self.n} rows, but some arrays have {sorted(lengths)}")

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        """What `make` gives, made once for these candidates: a slider moves, distances do not.

        `key` names all that `make` depends on beside the candidates themselves; nobody may write into it. Of
        many keys, those not asked for longest are forgotten.
        """
        made = self.memo.pop(key, None)  # each step alone is safe where threads share the candidates
        if made is None:
            made = make()
        self.memo[key] = made  # last: dicts keep their order
        for old in list(self.memo)[:-REMEMBERED]:
            self.memo.pop(old, None)
        return cast(Made, made)

    def has(self, need: str) -> bool:
        """Whether a need such as "vectors:pca50" or "column:behaviour" is met by what is here."""
        kind, name, _ = parse_need(need)
        tables: dict[str, Mapping[str, Any]] = {
            "vectors": self.vectors,
            "cluster": self.clusters,
            "score": self.scores,
            "reference": self.references,
        }
        if kind in tables:
            return name in tables[kind]
        if need == "column:category":
            return self.categories is not None and self.categories.shape[1] > 0
        if need == "column:behaviour":
            return self.once(need, self._labelled)
        return need == "tokens" and self.tokens is not None

    def _labelled(self) -> bool:
        """Whether any row has a behaviour type, or was looked at for one."""
        return self.behaviour is not None and bool(np.isin(self.behaviour, (*BEHAVIOURS, "unparsed")).any())

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(n,) rows that the selection may hold, all but the banned ones; a fresh array."""
        return np.ones(self.n, dtype=bool) if self.allowed is None else np.array(self.allowed, dtype=bool)

    @property
    def pinned(self) -> NDArray[np.bool_]:
        """(n,) rows that the selection already holds."""
        mask = np.zeros(self.n, dtype=bool)
        mask[self.taken] = True
        return mask

    @property
    def free(self) -> NDArray[np.bool_]:
        """(n,) rows that a strategy may still pick: usable and not pinned."""
        return self.usable & ~self.pinned


@dataclass(frozen=True)
class Ledger:
    """What a strategy knew of every row, chosen or not: it makes "why not this row?" answerable.

    Arrays run over the n candidates. Leave out what does not apply.
    """

    group: NDArray[np.integer[Any]] | None = (
        None  # (n,) stratum, cluster, category ... it competed in; -1 none
    )
    group_kind: str = ""  # "stratum", "cluster", "category": what `group` counts
    group_names: Mapping[int, str] = field(default_factory=dict)  # names of groups that have one
    value: NDArray[np.floating[Any]] | None = (
        None  # (n,) what decided inside the group, higher is taken earlier
    )
    value_name: str = ""  # "boundary score", "total utility" ...
    at_random: bool = False  # inside a group rows were drawn at random: no value decided
    out: NDArray[np.bool_] | None = None  # (n,) rows that were out of the race
    out_reason: str = ""  # why: "it is among the hardest 10 % that beta cuts off"
    spent: bool = False  # what a taken row was worth is gone: its value no longer compares with the others'
    overlapping: bool = False  # rows may be drawn for several groups; `group` is the one they count for


@dataclass(frozen=True)
class Picked:
    """Distinct rows, the first picked first, each with its reason.

    `shortfall` says how many rows of the budget could not be filled; fewer rows without it is a broken
    contract. A strategy returns the rows it adds to the pins; `select()` puts the pins before them. `trace`
    arrays run over pins and added rows together, in that order.
    """

    rows: Rows
    reasons: Sequence[Reason]
    shortfall: int = 0
    warnings: tuple[str, ...] = ()
    trace: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    stands_for: Rows | None = None  # (n,) row that a row set aside by SemDeDup is nearly a copy of, else -1


class Strategy(Protocol):
    """Adds up to `budget` free rows to those already taken."""

    def __call__(
        self, candidates: Candidates, budget: int, params: Any, rng: np.random.Generator, reporter: Reporter
    ) -> Picked: ...


@dataclass(frozen=True)
class StrategySpec:
    """One strategy as pages and the command line list it."""

    title: str
    source: str
    label: str  # "reconstruction" where the source does not say enough, else ""
    needs: Needs
    params: type[Params]
    pick: Strategy
    nested: Nested  # a smaller budget's rows are the first rows of a larger one's: an instant budget slider


STRATEGIES: Registry[StrategySpec] = Registry("strategy", "core.selection.strategies")


def strategy(
    *,
    title: str,
    source: str,
    needs: Needs | tuple[str, ...] = (),
    label: str = "",
    nested: Nested | bool = False,
) -> Callable[[Strategy], Strategy]:
    """Register the function below as the strategy named after its file."""
    asks: Needs = needs if callable(needs) else lambda params: needs
    prefix: Nested = nested if callable(nested) else lambda params: nested

    def register(pick: Strategy) -> Strategy:
        params = get_type_hints(pick)["params"]
        STRATEGIES.add(pick.__module__, StrategySpec(title, source, label, asks, params, pick, prefix))
        return pick

    return register
