"""The demo's runs side by side: results in order, the first failure ends all, a stop is obeyed."""

from __future__ import annotations

from functools import partial

import pytest

from core.demo.run import results
from core.errors import Stopped
from core.values import Silent


class Counting(Silent):
    def __init__(self, stop: bool = False) -> None:
        self.seen: list[tuple[int, int]] = []
        self._stop = stop

    def progress(self, done: int, total: int, what: str) -> None:
        self.seen.append((done, total))

    def stopping(self) -> bool:
        return self._stop


def say(word, reporter):
    assert not reporter.stopping()
    return word


def fail(reporter):
    raise FileNotFoundError("nothing there")


def test_results_come_in_the_order_of_the_work_and_progress_counts_finished_pieces() -> None:
    reporter = Counting()
    assert results([partial(say, word) for word in "abc"], 2, reporter) == ["a", "b", "c"]
    assert reporter.seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_failure_in_one_process_is_raised_here() -> None:
    with pytest.raises(FileNotFoundError):
        results([fail, partial(say, "a")], 2, Counting())


def test_a_stop_is_raised_although_work_is_left() -> None:
    with pytest.raises(Stopped):
        results([partial(say, "a")] * 50, 1, Counting(stop=True))
