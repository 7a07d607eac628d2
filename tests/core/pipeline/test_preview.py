"""The preview of a map: a sample is drawn while the rest is embedded, and nothing of it stays behind."""

from __future__ import annotations

import numpy as np
import pytest

from core import pipeline
from core.errors import Stopped
from core.pipeline import signals
from core.pipeline.preview import FILE, Preview, find_preview
from core.pool import Mapping, build_pool, read_table, save_pool
from core.values import Silent

ROWS = 60


@pytest.fixture
def small(demo, tmp_path):
    """Sixty short rows about three things, as a pool "small" of the workspace; two rows are alike."""
    path = tmp_path / "small.csv"
    things = ("cats", "bread", "rain")
    lines = [f"r{i},tell me about {things[i % 3]},it is {things[i % 3]} {i % 58}" for i in range(ROWS)]
    path.write_text("\n".join(["id,prompt,response", *lines]))
    mapping = Mapping(columns={"id": "id", "prompt": "prompt", "response": "response"})
    save_pool(demo, build_pool(read_table(path), mapping, name="small"), mapping, origin="test")
    return demo


@pytest.fixture
def eager(monkeypatch):
    """Previews of twenty rows at once, added to after every batch; batches of about eight rows."""
    from core.embedding import sentence, texts

    monkeypatch.setattr(texts, "CHUNK", 20)
    monkeypatch.setitem(sentence.BUDGET, "cpu", 100)
    now = {"every": 0.0, "least": 0.0, "share": 1e9}
    monkeypatch.setattr(signals, "Preview", lambda folder: Preview(folder, first=20, **now))


class StopAfter(Silent):
    """Asks for a stop once so many texts are embedded."""

    def progress(self, done, total, what):
        if what == "texts embedded" and done >= 40:
            raise Stopped("asked to stop")


def test_what_is_embedded_so_far_is_on_the_map_and_the_rest_is_not_yet(small, eager):
    request = pipeline.request_for("vectors:map", "small")
    pool = pipeline.pool(small, "small")
    assert find_preview(small, request, pool) is None
    with pytest.raises(Stopped):
        pipeline.make_signal(small, request, StopAfter())
    xy = find_preview(small, request, pool)
    placed = np.isfinite(xy).all(axis=1)
    assert xy.shape == (ROWS, 2) and xy.dtype == np.float32
    assert 20 <= placed.sum() < ROWS
    assert np.isnan(xy[~placed]).all()
    texts = pool.texts()
    for i in range(58, ROWS):  # the repeated texts lie upon their first
        assert texts[i] != texts[i - 58] or np.array_equal(xy[i], xy[i - 58], equal_nan=True)


def test_the_preview_goes_on_after_a_stop_and_is_gone_when_the_vectors_are_stored(small, eager):
    request = pipeline.request_for("vectors:map", "small")
    pool = pipeline.pool(small, "small")
    with pytest.raises(Stopped):
        pipeline.make_signal(small, request, StopAfter())
    first = find_preview(small, request, pool)
    made = pipeline.make_signal(small, request)
    assert find_preview(small, request, pool) is None
    assert not list(small.root.rglob(FILE)) and not list(small.root.rglob("*.making"))
    vectors = pipeline.find_signal(small, pipeline.request_for("vectors:embedding", "small"))
    assert vectors.facts["precision"] in ("float32", "bfloat16")
    assert np.isfinite(made.array()).all() and first is not None


def test_a_stop_changes_no_vector(small, eager):
    request = pipeline.request_for("vectors:embedding", "small")
    with pytest.raises(Stopped):
        pipeline.make_signal(small, request, StopAfter())
    stopped = np.array(pipeline.make_signal(small, request).array())
    other = request.model_copy(update={"params": {"precision": "auto"}})  # the default, said aloud
    found = pipeline.find_signal(small, other)
    assert found is not None
    for path in sorted(found.folder.iterdir()):
        path.unlink()
    assert (np.array(pipeline.make_signal(small, request).array()) == stopped).all()


def test_new_rows_lie_amid_their_nearest_of_the_drawn(tmp_path):
    rng = np.random.default_rng(0)
    groups = np.arange(90) % 3
    vectors = np.eye(3, 8)[groups] * 4 + rng.normal(scale=0.2, size=(90, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    place = np.arange(91)[::-1] - 1  # row 0 is the last to come, row 90 has no text
    preview = Preview(tmp_path, first=45, every=0.0, least=0.0, share=1e9)
    preview(vectors[:30], place)
    assert not (tmp_path / FILE).exists(), "too few for a map"
    preview(vectors[:60], place)
    xy = np.load(tmp_path / FILE)
    assert np.isfinite(xy).all(axis=1).tolist() == [False] * 30 + [True] * 60 + [False]
    group_of = np.append(groups[place[:90]], -1)
    centres = np.array([np.nanmean(xy[group_of == g], axis=0) for g in range(3)])
    late = np.flatnonzero((place >= 45) & (place < 60))
    nearest = np.linalg.norm(xy[late, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == group_of[late]).all()
    preview(vectors, place)
    more = np.load(tmp_path / FILE)
    assert np.array_equal(more[30:90], xy[30:90]), "what is drawn stays where it is"
    assert np.isfinite(more[:90]).all()


def test_no_preview_is_drawn_for_work_that_is_almost_done(tmp_path):
    vectors = np.eye(60, dtype=np.float32)
    preview = Preview(tmp_path, first=20, every=0.0, least=1000.0)
    preview(vectors[:10], np.arange(60))
    preview(vectors[:50], np.arange(60))
    assert not (tmp_path / FILE).exists()


def test_a_preview_of_another_pool_is_not_shown(small, tmp_path):
    request = pipeline.request_for("vectors:embedding", "small")
    pool = pipeline.pool(small, "small")
    folder = small.signals.scratch(pipeline.key_of(small, request, pool))
    np.save(folder / FILE, np.zeros((3, 2), np.float32))
    assert find_preview(small, request, pool) is None
