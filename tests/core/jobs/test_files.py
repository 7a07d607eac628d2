"""Readers follow a job's files by byte offset and never see half of anything."""

import json

import pytest

from core.errors import Stopped
from core.jobs import read_metrics, read_progress, tail_log
from core.jobs.files import METRICS, STOP
from core.jobs.reporter import FileReporter


def test_a_log_is_followed_by_offset_without_losing_or_repeating_a_letter(tmp_path):
    text = "naïve — line one\nline two ✓\n" * 40
    (tmp_path / "log.txt").write_bytes(text.encode())
    parts, offset = [], 0
    while True:
        part, following = tail_log(tmp_path, offset, limit=7)
        if following == offset:
            break
        parts.append(part)
        offset = following
    assert "".join(parts) == text


def test_the_end_of_a_long_log_is_read_first(tmp_path):
    (tmp_path / "log.txt").write_bytes(b"x" * 100 + b"end")
    assert tail_log(tmp_path, -5) == ("xxend", 103)
    assert tail_log(tmp_path, 500) == ("", 103)  # the log is shorter than the reader thought
    assert tail_log(tmp_path / "nowhere") == ("", 0)


def test_metrics_are_read_row_by_row_and_half_a_line_waits(tmp_path):
    path = tmp_path / METRICS
    path.write_bytes(b'{"step": 1}\n{"step": ')
    rows, offset = read_metrics(tmp_path)
    assert rows == [{"step": 1}]
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n')
    assert read_metrics(tmp_path, offset) == ([{"step": 2}], 24)


def test_what_is_not_finite_is_recorded_as_null(tmp_path):
    FileReporter(tmp_path).record(
        {"loss": float("nan"), "parts": {"kl": float("inf")}, "each": [1.0, -1e400]}
    )
    line = (tmp_path / METRICS).read_text()
    assert json.loads(line) == {"loss": None, "parts": {"kl": None}, "each": [1.0, None]}


def test_the_remaining_time_counts_only_what_this_run_did(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("core.jobs.reporter.time.time", lambda: now[0])
    reporter = FileReporter(tmp_path)
    reporter.progress(50, 100, "embedding")  # resumed: half was there already
    assert read_progress(tmp_path).remaining is None
    now[0] += 10
    reporter.progress(60, 100, "embedding")
    assert read_progress(tmp_path).remaining == pytest.approx(40)
    reporter.progress(0, 5, "clustering")
    assert (read_progress(tmp_path).what, read_progress(tmp_path).remaining) == ("clustering", None)


def test_a_stop_flag_ends_the_work_at_its_next_progress(tmp_path):
    reporter = FileReporter(tmp_path)
    assert not reporter.stopping()
    (tmp_path / STOP).touch()
    assert reporter.stopping()
    with pytest.raises(Stopped, match="at 3 of 9"):
        reporter.progress(3, 9, "steps")
