"""Any sentence-transformers model: folders work, foreign code and pickles do not run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.embedding import embed
from core.embedding.encoders.minilm import model_folder
from core.errors import BadInput, BadModel


def test_a_folder_gives_the_vectors_of_its_model(tmp_path: Path) -> None:
    texts = ["bread", "orchestra"]
    ours = embed(texts, "sentence_transformer", {"model": str(model_folder())}, scratch=tmp_path / "a")
    theirs = embed(texts, "minilm", scratch=tmp_path / "b")
    assert ours.vectors == pytest.approx(theirs.vectors, abs=1e-6) and ours.facts == theirs.facts


def test_without_a_model_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="set `model`"):
        embed(["a"], "sentence_transformer", scratch=tmp_path)


def test_a_folder_that_is_no_model_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(BadModel, match="cannot be loaded"):
        embed(["a"], "sentence_transformer", {"model": str(tmp_path / "model")}, scratch=tmp_path)


def test_code_that_a_model_brings_along_does_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder(), folder)
    (folder / "intruder.py").write_text("raise SystemExit('foreign code ran')")
    modules = json.loads((folder / "modules.json").read_text())
    modules[2]["type"] = "intruder.Normalize"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BadModel, match="cannot be loaded"):
        embed(["a"], "sentence_transformer", {"model": str(folder)}, scratch=tmp_path / "scratch")


def test_pickled_weights_are_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder(), folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadModel, match="cannot be loaded"):
        embed(["a"], "sentence_transformer", {"model": str(folder)}, scratch=tmp_path / "scratch")


def test_an_id_that_cannot_be_fetched_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[list[str]] = []

    def offline(model: str, *, revision: str | None, allow_patterns: list[str]) -> None:
        asked.append(allow_patterns)
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(BadModel, match="check the name and the network"):
        embed(["a"], "sentence_transformer", {"model": "some/model"}, scratch=tmp_path)
    assert not {"*.py", "*.bin"} & set(asked[0])
