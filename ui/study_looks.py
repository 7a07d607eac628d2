"""Which colour a strategy has and which shape a method: fixed slots, so that no filter repaints a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.pipeline.study_numbers import FULL
from core.repair import METHODS
from core.selection import STRATEGIES
from ui import theme

SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "star",
    "hexagon",
    "triangle-down",
    "pentagon",
)
OTHER = "cross"
FIRST = ("uniform", "saps", "dpo", "irepair_kl", "sft")  # the most common ones: far apart in look


def slots(names: Iterable[str], known: Sequence[str], most: int) -> dict[str, int]:
    """Name -> slot 0..most-1, or -1 for what found none.

    A registered name asks for the slot of its place in the registry and takes the next free one, so that a
    strategy mostly keeps its colour from one study to the next; labels of one's own come last.
    """
    given = list(dict.fromkeys(names))
    known = [*(n for n in FIRST if n in known), *(n for n in known if n not in FIRST)]
    ordered = [n for n in known if n in given] + sorted(n for n in given if n not in known)
    taken: dict[str, int] = {}
    for place, name in enumerate(ordered):
        wanted = known.index(name) if name in known else place
        free = [s for s in range(most) if s not in taken.values()]
        taken[name] = min(free, key=lambda s: (s - wanted) % most, default=-1)
    return taken


@dataclass(frozen=True)
class Looks:
    """The look of every strategy and method of one study."""

    strategies: dict[str, int]
    methods: dict[str, int]

    @classmethod
    def of(cls, strategies: Iterable[str], methods: Iterable[str]) -> Looks:
        """Looks for these names; all rows together is no strategy and stays neutral."""
        chosen = [s for s in strategies if s != FULL]
        return cls(
            slots(chosen, list(STRATEGIES), len(theme.PALETTE)), slots(methods, list(METHODS), len(SYMBOLS))
        )

    def colour(self, strategy: str) -> str:
        """A colour of the palette; ink for all rows, grey for a ninth strategy."""
        if strategy == FULL:
            return theme.grey("text")
        slot = self.strategies.get(strategy, -1)
        return theme.grey("other") if slot < 0 else theme.PALETTE[slot]

    def symbol(self, method: str) -> str:
        """A shape; a cross for a ninth method."""
        slot = self.methods.get(method, -1)
        return OTHER if slot < 0 else SYMBOLS[slot]
