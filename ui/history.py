"""Undo and redo as one frozen value: what was, what is, and what was taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")

DEPTH = 100  # steps that can be taken back


@dataclass(frozen=True)
class History(Generic[State]):
    """States in the order they were made; `future` holds what was undone, the next to redo first."""

    past: tuple[State, ...] = ()
    present: State | None = None
    future: tuple[State, ...] = ()

    def then(self, state: State) -> History[State]:
        """The history after a change to `state`: nothing can be redone. An equal state is no change."""
        if state == self.present:
            return self
        before = () if self.present is None else (self.present,)
        return History((self.past + before)[-DEPTH:], state)

    def undo(self) -> History[State]:
        """The history with the last change taken back; the same where there is none."""
        if not self.past or self.present is None:
            return self
        return History(self.past[:-1], self.past[-1], (self.present, *self.future))

    def redo(self) -> History[State]:
        """The history with the last undone change made again; the same where there is none."""
        if not self.future or self.present is None:
            return self
        return History((*self.past, self.present), self.future[0], self.future[1:])
