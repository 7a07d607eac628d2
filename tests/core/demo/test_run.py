"""Work side by side: results in order, the first failure ends all, a stop is obeyed."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, methodcaller
from typing import Any

import pytest

from core.demo.run import side_by_side
from core.errors import Stopped
from core.values import Silent


class Counting(Silent):
    def __init__(self, stop: bool = False) -> None:
        self.seen: list[tuple[int, int]] = []
        self._stop = stop

    def progress(self, done: int, total: int, what: str) -> None:
        self.seen.append((done, total))

    def record(self, row: Mapping[str, Any]) -> None:
        return

    def stopping(self) -> bool:
        return self._stop

    def asked(self, what):
        return False


def test_results_come_in_the_order_of_the_work_and_progress_counts_finished_pieces() -> None:
    reporter = Counting()
    work = [attrgetter("name"), attrgetter("suffix"), methodcaller("as_posix")]
    name, suffix, path = side_by_side(work, 2, reporter)
    assert (name, suffix) == ("stop", "") and path.endswith("/stop")
    assert reporter.seen[0] == (0, 3) and reporter.seen[-1] == (3, 3)


def test_a_failure_in_one_process_is_raised_here() -> None:
    with pytest.raises(FileNotFoundError):
        side_by_side([methodcaller("read_text"), attrgetter("name")], 2, Counting())


def test_a_stop_is_raised_although_work_is_left() -> None:
    with pytest.raises(Stopped):
        side_by_side([methodcaller("as_posix")] * 50, 1, Counting(stop=True))
