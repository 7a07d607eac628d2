"""A fresh workspace over the shipped demo, and a workspace of its own with a tiny pool."""

import shutil
import time

import numpy as np
import pytest

from core import pipeline, selection
from core.pipeline.gather import requests
from core.pool import load_pool
from core.workspace import Workspace
from core.workspace.store import SHIPPED


@pytest.fixture
def demo(tmp_path):
    assert SHIPPED.is_dir(), "the demo's artefacts are part of the project: python -m core demo build"
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def own(small, tmp_path):
    """A copy of the small workspace, for a test to change."""
    shutil.copytree(small.root, tmp_path / "own")
    return Workspace.open(tmp_path / "own", None)


@pytest.fixture
def meet():
    """A function that stores a stand-in for every signal a recipe needs, or given values: score=f(n)."""

    def put(ws, recipe, **given):
        for need, request in requests(recipe, selection.needs_of(recipe)).items():
            pool = load_pool(ws, request.pool)
            kind = {"reference": "vectors", "tokens": "tokens"}.get(need.split(":")[0], need.split(":")[0])
            values = given.get(kind, STAND_INS[kind])(len(pool))
            arrays = {"values": values} | ({"membership": np.ones(len(pool))} if kind == "cluster" else {})
            key = pipeline.key_of(ws, request, pool)
            facts = {"direction": "harder", "words": need}
            ws.signals.put(key, arrays, facts=facts, started=time.perf_counter())

    return put


STAND_INS = {
    "vectors": lambda n: np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32),
    "cluster": lambda n: np.arange(n) % 5 - 1,
    "score": lambda n: np.random.default_rng(1).permutation(n) / n,
    "tokens": lambda n: 5.0 + np.arange(n) % 7,
}
