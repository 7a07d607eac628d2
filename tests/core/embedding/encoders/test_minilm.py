"""The bundled encoder: likeness in meaning, unit rows, and no weights but the ones we tested with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from core.embedding import embed
from core.embedding.encoders import minilm
from core.errors import BadModel

EXACT = {"precision": "float32"}
TEXTS = [
    "How do I bake a loaf of bread?",
    "What is the recipe for baking bread at home?",
    "The orchestra played a symphony last night.",
    "",
    "a long tale of bread " * 200,
]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return embed(TEXTS, "minilm", EXACT, scratch=tmp_path_factory.mktemp("scratch")).vectors


def test_like_meanings_lie_closer_than_unlike_ones(vectors: np.ndarray) -> None:
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]


def test_rows_are_unit_vectors_but_the_empty_text_is_zero(vectors: np.ndarray) -> None:
    assert vectors.shape == (5, 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0, 1], abs=1e-5)


def test_texts_are_cut_to_the_models_256_pieces(vectors: np.ndarray, tmp_path: Path) -> None:
    longer = embed([TEXTS[4] + "that ends with an orchestra"], "minilm", EXACT, scratch=tmp_path).vectors
    assert longer[0] == pytest.approx(vectors[4], abs=1e-6)


def test_a_vector_does_not_depend_on_its_batch(vectors: np.ndarray, tmp_path: Path) -> None:
    alone = embed([TEXTS[2]], "minilm", EXACT, scratch=tmp_path).vectors
    assert alone[0] == pytest.approx(vectors[2], abs=1e-5)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr(minilm, "model_folder", lambda: tmp_path)
    with pytest.raises(BadModel, match="not the file this project was tested with"):
        embed(["a"], "minilm", scratch=tmp_path / "scratch")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(BadModel, match="reinstall"):
        embed(["a"], "minilm", scratch=tmp_path / "scratch")


def test_none_of_the_packages_code_runs() -> None:
    assert minilm.model_folder().is_dir()
    assert minilm.PACKAGE not in sys.modules
