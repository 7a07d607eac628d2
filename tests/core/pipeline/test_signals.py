"""Signals: made once, found again under all they depend on, named in words."""

import numpy as np
import pytest

from core import pipeline
from core.errors import BadInput, UnknownName
from core.pool import Mapping, build_pool, read_table, save_pool
from core.values import Recipe


@pytest.fixture
def small(demo, tmp_path):
    """Forty rows about two things, as a pool "small" of the workspace."""
    path = tmp_path / "small.csv"
    lines = [
        f"{i},tell me about {'cats' if i % 2 else 'bread'},a {'cat' if i % 2 else 'loaf'} {i}"
        for i in range(40)
    ]
    path.write_text("\n".join(["id,prompt,response", *lines]))
    columns = {"id": "id", "prompt": "prompt", "response": "response"}
    mapping = Mapping(columns=columns)
    save_pool(demo, build_pool(read_table(path), mapping, name="small"), mapping, origin="test")
    return demo


def test_asking_again_costs_nothing(small):
    request = pipeline.request_for("cluster:kmeans", "small")
    assert pipeline.find_signal(small, request) is None
    first = pipeline.make_signal(small, request)
    stamps = {p: p.stat().st_mtime_ns for p in (small.root / "signals").rglob("*") if p.is_file()}
    again = pipeline.make_signal(small, request)
    assert again.folder == first.folder
    assert {p: p.stat().st_mtime_ns for p in (small.root / "signals").rglob("*") if p.is_file()} == stamps
    labels = first.array()
    assert len(labels) == 40
    assert {tuple(sorted(set(labels[i::2]))) for i in (0, 1)}  # both topics have labels
    assert not set(labels[0::2]) & set(labels[1::2]), "cats and bread share a cluster"
    words = pipeline.keywords(first)
    assert all(words.values())


def test_every_choice_that_changes_the_numbers_changes_the_key(small):
    pool = pipeline.pool(small, "small")
    base = pipeline.request_for("vectors:map", "small")
    keys = {pipeline.key_of(small, base, pool).digest}
    for change in (
        {"seed": 1},
        {"template": "prompt"},
        {"params": {"n_components": 3}},
        {"method": "pca", "params": {}},
    ):
        keys.add(pipeline.key_of(small, base.model_copy(update=change), pool).digest)
    assert len(keys) == 5
    assert pipeline.key_of(small, base.model_copy(update={"device": "cpu"}), pool).digest in keys


def test_the_difference_of_a_pair_is_zero_where_a_side_is_missing(small):
    request = pipeline.request_for(
        "vectors:embedding", "small", recipe=Recipe(pool="small", strategy="uniform", template="difference")
    )
    made = pipeline.make_signal(small, request)
    assert not np.asarray(made.array()).any()
    assert made.facts["rows_without_pair"] == 40


def test_a_wrong_request_is_a_sentence(small):
    with pytest.raises(BadInput, match="no signal meets the need"):
        pipeline.request_for("column:category", "small")
    with pytest.raises(BadInput, match="no space named 'tsne'; known: embedding, pca50"):
        pipeline.request_for("vectors:tsne", "small")
    with pytest.raises(UnknownName, match="did you mean 'umap'"):
        pipeline.make_signal(small, pipeline.SignalRequest(stage="projection", method="umpa", pool="small"))
    with pytest.raises(BadInput, match="compares with no reference pool"):
        pipeline.make_signal(
            small,
            pipeline.SignalRequest(stage="scoring", method="length", pool="small", references=("small",)),
        )


def test_the_shipped_demo_has_what_its_pages_show(demo):
    for need in ("vectors:map", "vectors:pca50", "cluster:kmeans", "cluster:hdbscan", "score:toxicity"):
        found = pipeline.find_signal(demo, pipeline.request_for(need, "demo"))
        assert found is not None, need
        assert not found.folder.is_relative_to(demo.root)
        assert len(found.array()) == len(pipeline.pool(demo, "demo"))
