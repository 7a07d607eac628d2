"""Half-done work: what was made survives a stop, what belongs to other work does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import Stopped, StorageError
from core.workspace.partial import Partial


def fill(folder: Path | None, key: str = "k", n: int = 10, until: int = 99) -> tuple[np.ndarray, list[int]]:
    """Rows 0..n-1 with their own number, two at a time, stopped when `until` are done; and the rows made."""
    made: list[int] = []
    work = Partial(folder, key, (n, 3), np.float32)
    try:
        with work:
            while work.done < n:
                if work.done >= until:
                    raise Stopped("stopped")
                rows = range(work.done, work.done + 2)
                work.advance(np.repeat(np.array(rows, np.float32)[:, None], 3, axis=1))
                made += rows
    except Stopped:
        pass
    return np.array(work.values), made


def test_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    assert fill(tmp_path / "new", until=4)[1] == [0, 1, 2, 3]
    values, made = fill(tmp_path / "new")
    assert made == [4, 5, 6, 7, 8, 9]
    assert np.array_equal(values, fill(None)[0]) and values[:, 0].tolist() == list(range(10))
    assert fill(tmp_path / "new")[1] == [], "finished work is not made again"


@pytest.mark.parametrize(("key", "n"), [("other", 10), ("k", 12)])
def test_work_under_another_key_or_shape_begins_anew(tmp_path: Path, key: str, n: int) -> None:
    fill(tmp_path, until=4)
    values, made = fill(tmp_path, key, n)
    assert made == list(range(n)) and values[:, 0].tolist() == list(range(n))


@pytest.mark.parametrize("name", ["done.json", "values.npy"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x93NUMPY broken", None])
def test_a_damaged_file_begins_anew(tmp_path: Path, name: str, content: bytes | None) -> None:
    fill(tmp_path, until=4)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert fill(tmp_path)[1] == list(range(10))


def test_a_truncated_array_begins_anew(tmp_path: Path) -> None:
    fill(tmp_path, until=4)
    whole = (tmp_path / "values.npy").read_bytes()
    (tmp_path / "values.npy").write_bytes(whole[:-1])
    assert fill(tmp_path)[1] == list(range(10))


def test_a_kill_loses_no_more_than_what_came_after_the_last_save(tmp_path: Path) -> None:
    work = Partial(tmp_path, "k", (4,), np.float64)
    work.advance(np.array([1.0, 2.0]))
    work.save()
    work.advance(np.array([3.0]))  # never saved: the process ends here
    again = Partial(tmp_path, "k", (4,), np.float64)
    assert again.done == 2 and again.values[:2].tolist() == [1, 2]


def test_no_rows_need_no_file(tmp_path: Path) -> None:
    with Partial(tmp_path, "k", (0, 3), np.float32) as work:
        assert work.done == 0 and work.values.shape == (0, 3)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, OSError)):
        Partial(tmp_path / "file" / "below", "k", (4,), np.float64)
