"""Precision: bfloat16 where the processor computes in it and the vectors hold, float32 elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.embedding import embed, sentence
from core.embedding.encoders.minilm import model_folder
from core.embedding.sentence import SentenceEncoder, open_sentence_encoder

TEXTS = [
    "How do I bake a loaf of bread?",
    "The orchestra played a symphony last night.",
    "short",
    "Rain fell on the harbour town, and the boats came home early. " * 12,
]


def opened(precision: str, sample: list[str] = TEXTS) -> SentenceEncoder:
    return open_sentence_encoder(model_folder(), device="cpu", precision=precision, sample=sample)


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """Vectors of the texts as sentence-transformers gives them."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder()), device="cpu")
    return model.encode(TEXTS, batch_size=64, normalize_embeddings=True, show_progress_bar=False)


def test_float32_gives_the_models_own_vectors(exact: np.ndarray) -> None:
    found = opened("float32")
    assert found.encode(TEXTS) == pytest.approx(exact, abs=1e-5)
    assert found.facts == {"precision": "float32"}


def test_bfloat16_keeps_the_directions_and_unit_length_and_says_how_well(exact: np.ndarray) -> None:
    found = opened("bfloat16")
    vectors = found.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    cosines = (vectors * exact).sum(axis=1)
    assert found.facts["precision"] == "bfloat16"
    assert 0.995 < cosines.min() < 1 - 1e-7, "close, and really computed in bfloat16"
    assert found.facts["lowest_sample_cosine"] == pytest.approx(cosines.min(), abs=1e-3)


def test_auto_falls_back_where_one_text_would_suffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence, "computes_bfloat16", lambda device: True)
    assert opened("auto").facts["precision"] == "bfloat16"
    monkeypatch.setattr(sentence, "LEAST_COSINE", 1.1)
    found = opened("auto")
    assert found.facts["precision"] == "float32" and found.facts["lowest_sample_cosine"] < 1
    assert next(found.model.parameters()).dtype.itemsize == 4
    assert opened("bfloat16").facts["precision"] == "bfloat16", "asked for by name it is used all the same"


def test_auto_is_float32_where_bfloat16_is_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    assert opened("auto").facts == {"precision": "float32"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "cpu_name": "x"})
    assert sentence.computes_bfloat16("cpu") and not sentence.computes_bfloat16("mps")


def test_lengths_are_tokens_after_the_cut() -> None:
    found = opened("float32")
    assert found.lengths(["bread", "bread bread", "bread " * 999]).tolist() == [3, 4, 256]


def test_an_interrupted_run_on_the_real_encoder_gives_the_same_bits(tmp_path: Path) -> None:
    texts = [f"{t} {i}" for i in range(6) for t in TEXTS[:3]]
    first = embed(texts, "minilm", scratch=tmp_path / "a")
    again = embed(texts, "minilm", scratch=tmp_path / "b")
    assert (first.vectors == again.vectors).all() and first.facts == again.facts
