"""Whole files or none, and names that stay inside the workspace."""

import errno
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput, StorageError
from core.workspace import (
    atomic_folder,
    content_key,
    folder_hash,
    json_line,
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
