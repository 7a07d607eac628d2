"""What the demo ships is imported like any other file, is whole, and is found out when it was changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core import pipeline
from core.demo import corpus
from core.demo.build import SIGNALS, check, content_of, save_pools
from core.demo.grammar import Grammar
from core.errors import StorageError
from core.pool import bad_rows, eligible, load_pool, read_manifest
from core.values import Recipe
from core.workspace import Workspace
from core.workspace.store import SHIPPED


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    grammar = Grammar.load()
    kept_out = corpus.held_out(grammar, np.random.default_rng(0))
    ws = Workspace(tmp_path_factory.mktemp("demo"), None)
    save_pools(ws, corpus.pool_rows(grammar, np.random.default_rng(1), kept_out), kept_out, 0)
    return ws


def test_the_pool_has_every_behaviour_split_and_side_and_lists_its_dirt(ws: Workspace) -> None:
    pool = load_pool(ws, "demo")
    counts = read_manifest(ws, "demo")["counts"]
    assert counts["bad"] == len(bad_rows(ws, "demo")) == 6
    assert counts["duplicates"] >= corpus.EXACT
    assert set(pool.frame["behaviour"]) == {"T1", "T2", "T3", "T4"}
    assert set(pool.frame["split"]) == {"train", "validation", "test"}
    assert len(pool.categories()[0]) == 12
    assert 400 < pool.frame["blocked"].sum() < 600  # compliant and overheard rows
    assert 3_000 < len(eligible(pool, ("response", "rejected")).rows) < 3_700


def test_held_out_pools_are_test_rows_only_and_share_no_group_with_the_pool(ws: Workspace) -> None:
    groups = set(load_pool(ws, "demo").frame["group"])
    for name in ("demo-prompts", "demo-normal", "demo-clean", "demo-behaviours"):
        frame = load_pool(ws, name).frame
        assert set(frame["split"]) == {"test"} and not frame["blocked"].any()
        assert not groups & set(frame["group"])


def test_content_ignores_manifests_and_sees_everything_else() -> None:
    files = {"models/lm/model.safetensors": "a", "pools/demo/manifest.json": "b"}
    assert content_of(files) == content_of(files | {"pools/demo/manifest.json": "c"})
    assert content_of(files) != content_of(files | {"models/lm/model.safetensors": "c"})


def test_the_shipped_demo_is_as_it_was_built_and_passes_its_gates() -> None:
    assert check(SHIPPED)["facts"]["bytes"] <= 20_000_000


def test_a_changed_a_missing_and_an_added_file_are_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(SHIPPED, folder)
    check(folder)
    pool = folder / "pools" / "demo" / "pool.parquet"
    whole = pool.read_bytes()
    for change in (
        lambda: pool.write_bytes(whole[:-1]),
        pool.unlink,
        lambda: (folder / "extra.txt").write_text("x"),
    ):
        change()
        with pytest.raises(StorageError, match="1 files in"):
            check(folder)
        pool.write_bytes(whole)


def test_every_shipped_signal_is_found_under_its_key_and_nothing_needs_computing(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    recipe = Recipe(pool="demo", strategy="uniform")
    asked = {need: pipeline.request_for(need, "demo", recipe=recipe) for need in SIGNALS}
    lacking = [need for need, request in asked.items() if pipeline.find_signal(ws, request) is None]
    assert not lacking  # a stage changed what its signal depends on: build the demo again
