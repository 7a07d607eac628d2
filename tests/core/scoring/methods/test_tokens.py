"""Tokens: what the model's tokenizer makes of a row, read without the model's weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from core.scoring import score

ROWS = [("say", "it now", "x"), ("say", "", "x"), ("", "abc", ""), ("", "", "x y"), ("", "", "")]


def test_counts_every_text_once_with_the_joining_blank(pool_of: Any, tiny_folder: Any) -> None:
    model = str(tiny_folder())  # a token is a byte
    assert score("tokens", pool_of(ROWS), model=model).tolist() == [10, 3, 3, 0, 0]
    assert score("tokens", pool_of(ROWS), {"sides": "both"}, model=model).tolist() == [12, 5, 3, 3, 0]


def test_long_texts_are_counted_whole(pool_of: Any, tiny_folder: Any) -> None:
    assert score("tokens", pool_of([("a" * 300, "", "")]), model=str(tiny_folder())).tolist() == [300]


def test_start_tokens_do_not_count(pool_of: Any, tiny_folder: Any, tmp_path: Path) -> None:
    from tokenizers import processors
    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    start = (tokenizer.bos_token, tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start[0]} $A", special_tokens=[start]
    )
    tokenizer.save_pretrained(folder)
    assert len(AutoTokenizer.from_pretrained(folder)("abc").input_ids) == 4
    assert score("tokens", pool_of([("abc", "", "")]), model=str(folder)).tolist() == [3]


def test_rows_in_many_chunks_stay_in_order(pool_of: Any, tiny_folder: Any) -> None:
    pool = pool_of([("a" * (i % 7), "", "") for i in range(2500)])
    assert score("tokens", pool, model=str(tiny_folder())).tolist() == [i % 7 for i in range(2500)]


def test_needs_no_weights(pool_of: Any, tiny_folder: Any, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder(), tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    assert score("tokens", pool_of(ROWS), model=str(tmp_path / "bare"))[0] == pytest.approx(10)
