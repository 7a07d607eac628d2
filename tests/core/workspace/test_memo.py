"""Remembered numbers: bit for bit, shared by processes, and never a reason to stop."""

import logging
import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from core.workspace import Memo
from core.workspace import memo as module

ODD = np.array([0.1, -0.0, np.nan, np.inf, np.float64(np.float32(0.3)), 5e-324])


@pytest.fixture
def memo(tmp_path):
    return Memo(tmp_path / "below" / "scores.sqlite")


def same_bits(a, b):
    return a is not None and a.dtype == np.float64 and a.tobytes() == np.asarray(b, np.float64).tobytes()


def test_gives_back_every_bit_in_the_order_asked(memo):
    memo.put(["a", "b"], [ODD, [1.0]])
    got = memo.get(["b", "unknown", "a", "b"])
    assert same_bits(got[0], [1.0]) and got[1] is None and same_bits(got[2], ODD) and same_bits(got[3], [1.0])
    got[0][0] = 7  # a fresh array: no caller changes what another one reads
    assert same_bits(Memo(memo.path).get(["b"])[0], [1.0])


def test_float32_scores_survive_the_way_there_and_back(memo):
    scores = np.random.default_rng(0).random(1000).astype(np.float32)
    memo.put([str(i) for i in range(1000)], scores[:, None])
    back = np.concatenate(memo.get([str(i) for i in range(1000)])).astype(np.float32)
    assert back.tobytes() == scores.tobytes()


def test_nothing_asked_and_nothing_stored_make_no_file(memo):
    memo.put([], [])
    assert memo.get([]) == [] and memo.get(["a"]) == [None]
    assert not memo.path.exists()


def test_the_later_value_counts_and_an_empty_array_is_known(memo):
    memo.put(["a", "e"], [[1.0, 2.0], []])
    memo.put(["a"], [[3.0]])
    a, e = memo.get(["a", "e"])
    assert same_bits(a, [3.0]) and e is not None and e.shape == (0,)


def test_keys_are_text_not_language(memo):
    keys = ["'; DROP TABLE memo; --", "caf\u00e9 \u2603", "", "A", "a"]
    memo.put(keys, [[float(i)] for i in range(len(keys))])
    assert [v[0] for v in memo.get(keys)] == [0, 1, 2, 3, 4]


def test_more_keys_than_one_question_takes_come_in_a_moment(memo):
    keys = [f"text {i}" for i in range(20_000)]
    values = np.random.default_rng(1).random((20_000, 7))
    began = time.process_time()
    memo.put(keys, values)
    got = memo.get(keys[::-1])
    assert time.process_time() - began < 2
    np.testing.assert_array_equal(np.array(got)[::-1], values)


def test_many_processes_write_and_read_the_same_file(memo):
    code = (
        "import sys\nfrom pathlib import Path\nfrom core.workspace.memo import Memo\n"
        "memo, own = Memo(Path(sys.argv[1])), sys.argv[2]\n"
        "for i in range(40):\n"
        "    memo.put([f'{own}-{i}', f'shared-{i}'], [[i], [i]])\n"
        "    assert memo.get([f'{own}-{i}'])[0][0] == i\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(memo.path), name], env=environment)
        for name in ("x", "y", "z")
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    keys = [f"{name}-{i}" for name in ("x", "y", "z", "shared") for i in range(40)]
    assert [v[0] for v in memo.get(keys)] == list(range(40)) * 4


def test_a_damaged_file_is_a_miss_with_a_warning(memo, caplog):
    memo.path.parent.mkdir()
    memo.path.write_bytes(b"this is no database at all" * 100)
    with caplog.at_level(logging.WARNING):
        assert memo.get(["a"]) == [None]
        memo.put(["a"], [[1.0]])
    assert caplog.text.count("cannot be read") == 1 and caplog.text.count("cannot be written") == 1
    assert str(memo.path) in caplog.text


def test_a_foreign_table_or_a_half_value_is_a_miss(memo):
    memo.put(["a", "b"], [[1.0], [2.0]])
    with sqlite3.connect(memo.path) as database:
        database.execute("UPDATE memo SET value = x'00ff' WHERE key = 'a'")
        database.execute("UPDATE memo SET value = 'text' WHERE key = 'b'")
    database.close()
    assert memo.get(["a", "b"]) == [None, None]


def test_a_file_locked_by_another_is_read_on_and_not_waited_for_long(memo, caplog, monkeypatch):
    memo.put(["a"], [[1.0]])
    monkeypatch.setattr(module, "BUSY_S", 0.05)
    other = sqlite3.connect(memo.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING):
        memo.put(["b"], [[2.0]])
    assert "locked" in caplog.text
    assert same_bits(memo.get(["a"])[0], [1.0]), "a writer never keeps readers out"
    other.execute("ROLLBACK")
    other.close()
    assert memo.get(["b"]) == [None]


@pytest.mark.parametrize("place", ["is a file/scores.sqlite", "folder"])
def test_a_place_where_no_file_can_be_is_a_miss(tmp_path, caplog, place):
    (tmp_path / "is a file").write_text("x")
    (tmp_path / "folder").mkdir()
    memo = Memo(tmp_path / place)
    with caplog.at_level(logging.WARNING):
        memo.put(["a"], [[1.0]])
        assert memo.get(["a"]) == [None]
    assert "cannot be written" in caplog.text


def test_a_full_disk_keeps_the_old_values_and_ends_nothing(memo, caplog, monkeypatch):
    memo.put(["a"], [[1.0]])

    connect = sqlite3.connect

    def small(*given, **more):
        database = connect(*given, **more)
        database.execute("PRAGMA max_page_count = 3")  # what SQLite says then is what it says of a full disk
        return database

    monkeypatch.setattr(sqlite3, "connect", small)
    with caplog.at_level(logging.WARNING):
        memo.put(["a", "big"], [[2.0], np.zeros(100_000)])
    assert "full" in caplog.text
    big, a = memo.get(["big", "a"])
    assert big is None and same_bits(a, [1.0]), "all or none"
