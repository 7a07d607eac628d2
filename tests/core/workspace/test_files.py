"""Whole files or none, and names that stay inside the workspace."""

import errno
import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from core.errors import BadInput, StorageError
from core.values import Budget
from core.workspace import (
    atomic_folder,
    content_key,
    folder_hash,
    json_line,
    read_as,
    safe_name,
    write_bytes,
    write_json,
)
from core.workspace.files import storage_errors


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "kept.json"
    write_json(path, {"a": 1})

    def full(_fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="is full; free some space"):
        write_bytes(path, b"new")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["kept.json"]


def test_a_full_disk_is_a_sentence_and_any_other_fault_is_not_hidden(tmp_path):
    with pytest.raises(StorageError, match="already stored"), storage_errors(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="odd"), storage_errors(tmp_path / "x"):
        raise OSError(errno.EIO, "odd")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "run"

    def half():
        with atomic_folder(target) as part:
            (part / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(target) as part:
        (part / "whole").write_text("1")
    with atomic_folder(target) as part:
        (part / "whole").write_text("2")
    assert (target / "whole").read_text() == "2"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a..b", "x" * 81, "a b", "ä"])
def test_a_name_that_could_be_a_path_is_refused(name):
    with pytest.raises(BadInput, match="cannot be used"):
        safe_name(name)


def test_numbers_that_json_lacks_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": [math.nan, math.inf, 1.5], "b": np.float32(0.5)})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, None, 1.5], "b": 0.5}
    assert json_line({"loss": math.nan}) == '{"loss": null}\n'


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=6))
def test_equal_values_have_equal_keys_whatever_their_order(value):
    assert content_key(value) == content_key(dict(reversed(value.items())))


def test_a_folders_hash_sees_names_and_bytes_but_no_hidden_files(tmp_path):
    (tmp_path / "a").write_text("1")
    first = folder_hash(tmp_path)
    (tmp_path / ".lock").write_text("x")
    assert folder_hash(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    assert folder_hash(tmp_path) != first


@pytest.mark.parametrize("said", ["1024 requested and 17 written", "I/O error (os error 28)"])
def test_a_full_disk_is_known_by_the_words_of_numpy_and_safetensors(said, tmp_path):
    kind = SafetensorError if "os error" in said else OSError
    target = tmp_path / ".run.part" / "weights"
    with pytest.raises(StorageError, match=f"disk holding {tmp_path} is full"), storage_errors(target):
        raise kind(said)


def test_a_device_or_a_folder_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "pipe.json", tmp_path, tmp_path / "file" / "x.json", tmp_path / ("n" * 300)):
        with pytest.raises(StorageError, match="give another"):
            write_json(place, {})
    assert (tmp_path / "pipe.json").is_fifo()
    assert (tmp_path / "file").read_text() == "kept"


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path):
    target = tmp_path / "pool"
    with atomic_folder(target) as part:
        (part / "rows").write_text("old")
    with pytest.raises(OSError, match="No such file"), atomic_folder(target) as part:
        part.rename(tmp_path / "elsewhere")  # as if somebody had cleaned up
    assert (target / "rows").read_text() == "old"


def test_what_a_killed_process_left_goes_when_its_work_is_made_again(tmp_path):
    (tmp_path / ".run.123.part").mkdir()
    (tmp_path / ".other.123.part").mkdir()
    with atomic_folder(tmp_path / "run", alone=True):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.123.part", "run"]


def test_a_damaged_value_is_a_sentence_that_names_the_file(tmp_path):
    write_json(tmp_path / "budget.json", {"rows": "many"})
    with pytest.raises(StorageError, match=r"budget\.json is damaged or of another version \(rows: "):
        read_as(Budget, tmp_path / "budget.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(StorageError, match="cannot be read as json"):
        read_as(Budget, tmp_path / "deep.json")
