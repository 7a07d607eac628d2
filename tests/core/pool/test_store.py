"""A stored pool comes back as it was, and a name never changes its rows by accident."""

import json
import multiprocessing
from pathlib import Path

import pandas as pd
import pytest

from core.errors import BadInput, StorageError, UnknownName
from core.pool import (
    Mapping,
    bad_rows,
    build_pool,
    list_pools,
    load_pool,
    read_manifest,
    read_table,
    save_pool,
)
from core.workspace import Workspace

ROWS = [{"prompt": "p", "response": "r", "category": ["a, b"]}, {"prompt": None}, {"prompt": "q"}]
MAPPING = Mapping(columns={"prompt": "prompt", "response": "response", "category": "category"})


@pytest.fixture
def ws(tmp_path):
    return Workspace.open(tmp_path / "ws", shipped=tmp_path / "shipped")


def made(tmp_path, rows=ROWS, name="mine", **options):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return build_pool(read_table(tmp_path / "a.jsonl"), MAPPING, name=name, **options)


def test_a_pool_comes_back_as_it_was(tmp_path, ws):
    built = made(tmp_path)
    save_pool(ws, built, MAPPING, "a.jsonl")
    pool = load_pool(ws, "mine")
    pd.testing.assert_frame_equal(pool.frame, built.pool.frame)
    assert (pool.fingerprint, pool.split_hash) == (built.pool.fingerprint, built.pool.split_hash)
    assert bad_rows(ws, "mine") == list(built.bad)
    assert read_manifest(ws, "mine")["mapping"] == MAPPING.model_dump(mode="json")
    assert [(s.name, s.rows, s.shipped) for s in list_pools(ws)] == [("mine", 2, False)]


def test_the_same_rows_again_change_nothing_and_other_rows_need_a_word(tmp_path, ws):
    folder = save_pool(ws, made(tmp_path), MAPPING, "a.jsonl")
    before = (folder / "manifest.json").read_bytes()
    assert save_pool(ws, made(tmp_path), MAPPING, "elsewhere.jsonl") == folder
    for other, words in (
        (made(tmp_path, ROWS[:1]), "other rows"),
        (made(tmp_path, split_seed=9), "another split"),
    ):
        with pytest.raises(BadInput, match=f"a pool 'mine' already, with {words}"):
            save_pool(ws, other, MAPPING, "a.jsonl")
    assert (folder / "manifest.json").read_bytes() == before
    save_pool(ws, made(tmp_path, ROWS[:1]), MAPPING, "a.jsonl", replace=True)
    assert len(load_pool(ws, "mine")) == 1


def test_a_shipped_pool_is_listed_and_not_shadowed_by_accident(tmp_path, ws):
    save_pool(Workspace.open(tmp_path / "shipped", None), made(tmp_path, name="demo"), MAPPING, "a")
    assert [(s.name, s.shipped) for s in list_pools(ws)] == [("demo", True)]
    assert len(load_pool(ws, "demo")) == 2
    with pytest.raises(BadInput, match="'demo' already"):
        save_pool(ws, made(tmp_path, ROWS[:1], name="demo"), MAPPING, "a")


def test_an_unknown_name_is_told_the_nearest(tmp_path, ws):
    with pytest.raises(UnknownName, match="import one first"):
        load_pool(ws, "mine")
    save_pool(ws, made(tmp_path), MAPPING, "a")
    with pytest.raises(UnknownName, match="did you mean 'mine'"):
        load_pool(ws, "mien")


def test_a_damaged_pool_is_a_sentence(tmp_path, ws):
    folder = save_pool(ws, made(tmp_path), MAPPING, "a")
    (folder / "pool.parquet").write_bytes(b"PAR1")
    with pytest.raises(StorageError, match="import the pool again"):
        load_pool(ws, "mine")


def test_a_half_written_pool_is_no_pool(tmp_path, ws):
    folder = save_pool(ws, made(tmp_path), MAPPING, "a")
    (folder / "manifest.json").unlink()
    assert list_pools(ws) == []
    save_pool(ws, made(tmp_path), MAPPING, "a")
    assert len(load_pool(ws, "mine")) == 2


def _save(root: Path, number: int) -> None:
    ws = Workspace.open(root / "ws", None)
    save_pool(ws, made(root / str(number), ROWS[:1], name="both"), MAPPING, "a", replace=True)


def test_two_processes_may_store_the_same_name_at_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
    both = [spawn.Process(target=_save, args=(tmp_path, number)) for number in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    pools = list((tmp_path / "ws" / "pools").iterdir())
    assert [p.name for p in pools] == ["both"]  # no half-made folder is left
    assert len(load_pool(Workspace.open(tmp_path / "ws", None), "both")) == 1


@pytest.mark.parametrize("damage", ["pool.parquet", "manifest.json"])
def test_a_damaged_pool_is_a_sentence_and_importing_again_with_replace_mends_it(damage, tmp_path):
    ws = Workspace.open(tmp_path / "ws", shipped=None)
    source = tmp_path / "rows.csv"
    source.write_text("prompt,response\nhello,good day\n")
    built = build_pool(
        read_table(source), Mapping(columns={"prompt": "prompt", "response": "response"}), name="p"
    )
    folder = save_pool(ws, built, Mapping(), "here")
    if damage == "pool.parquet":
        pd.DataFrame({"id": ["1"]}).to_parquet(folder / damage)
    else:
        (folder / damage).write_text("{}")
    with pytest.raises(StorageError, match="--replace"):
        load_pool(ws, "p")
    save_pool(ws, built, Mapping(), "here", replace=True)
    assert load_pool(ws, "p").frame.equals(built.pool.frame)
