"""The workspace: writing stays inside, the shipped layer is only read, locks hold between processes."""

import subprocess
import sys
import time

import numpy as np
import pytest

from core.errors import StorageError
from core.workspace import SignalKey, Workspace, write_json


def test_opening_makes_the_folder_and_a_file_in_its_place_is_a_sentence(tmp_path):
    ws = Workspace.open(tmp_path / "new" / "ws", shipped=None)
    assert ws.root.is_dir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="a workspace is a folder"):
        Workspace.open(tmp_path / "file")


def test_no_part_leads_out_of_the_workspace(tmp_path):
    ws = Workspace.open(tmp_path / "ws", shipped=None)
    with pytest.raises(StorageError, match="outside the workspace"):
        ws.path("runs", "../../x")
    (tmp_path / "ws" / "link").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="outside the workspace"):
        ws.path("link", "x")


def test_the_workspaces_own_hides_the_shipped_one(tmp_path):
    shipped = tmp_path / "shipped"
    for base, value in ((shipped, 1), (tmp_path / "ws", 2)):
        write_json(base / "pools" / "p" / "manifest.json", value)
    write_json(shipped / "pools" / "q" / "manifest.json", 3)
    (shipped / "pools" / "unfinished").mkdir()
    ws = Workspace.open(tmp_path / "ws", shipped=shipped)
    assert ws.find("pools", "p") == tmp_path / "ws" / "pools" / "p"
    assert ws.find("pools", "q") == shipped / "pools" / "q"
    assert ws.find("pools", "r") is None
    assert list(ws.folders("pools")) == ["p", "q"]


def test_a_second_process_waits_for_the_lock_and_then_gets_a_sentence(tmp_path):
    ws = Workspace.open(tmp_path, shipped=None)
    code = (
        "import sys, time; from core.workspace import Workspace\n"
        f"with Workspace.open({str(tmp_path)!r}, shipped=None).lock('pool-a'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="another Winnow process"), ws.lock("pool-a", timeout=0.2):
            pass
    finally:
        holder.communicate("")
    with ws.lock("pool-a", timeout=5):
        pass


def test_a_signal_is_found_under_everything_it_depends_on_and_nothing_less(tmp_path):
    ws = Workspace.open(tmp_path, shipped=None)
    key = SignalKey(stage="scoring", method="length", pool="abc")
    ws.signals.put(key, {"values": np.arange(3.0)}, facts={"unit": "words"}, started=time.perf_counter())
    assert ws.signals.get(key).array().tolist() == [0, 1, 2]
    assert ws.signals.get(key).facts == {"unit": "words"}
    for change in (
        {"pool": "abd"},
        {"params": {"a": 1}},
        {"model": "m"},
        {"version": 2},
        {"template": "prompt"},
    ):
        assert ws.signals.get(key.model_copy(update=change)) is None


def test_an_unfinished_signal_does_not_count_and_an_empty_one_can_be_read(tmp_path):
    ws = Workspace.open(tmp_path, shipped=None)
    key = SignalKey(stage="embedding", method="minilm")
    (ws.signals.scratch(key) / "values.npy").write_bytes(b"half")
    assert ws.signals.get(key) is None
    ws.signals.put(key, {"values": np.zeros((0, 4), np.float32)}, facts={}, started=time.perf_counter())
    assert ws.signals.get(key).array().shape == (0, 4)
    assert [p.name for p in (tmp_path / "signals" / "embedding").iterdir()] == [key.digest]


def test_what_a_killed_process_left_is_no_pool(tmp_path):
    ws = Workspace.open(tmp_path / "ws", shipped=None)
    for name in ("mine", ".mine.123.old"):
        write_json(ws.path("pools", name, "manifest.json"), {})
    assert list(ws.folders("pools")) == ["mine"]


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "é" * 200])
def test_a_name_that_no_file_can_have_is_a_sentence(name, tmp_path):
    with pytest.raises(StorageError, match="no name that a file can have"):
        Workspace.open(tmp_path / "ws").find("selections", name)


def test_a_workspace_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "below", tmp_path / ("n" * 300)):
        with pytest.raises(StorageError, match="cannot be made"):
            Workspace.open(place)
