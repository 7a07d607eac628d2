"""Small pools for scores, a scorer that counts words, and a model read one text at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.values import Pool


@pytest.fixture
def pool_of() -> Callable[[Sequence[tuple[str, str, str]]], Pool]:
    """A pool of (prompt, response, rejected) rows."""

    def make(rows: Sequence[tuple[str, str, str]]) -> Pool:
        frame = pd.DataFrame(rows, columns=["prompt", "response", "rejected"])
        return Pool("test", frame.assign(id=[str(i) for i in range(len(rows))]), "fingerprint", "split")

    return make


class Counting:
    """A scorer that says one tenth of the words, and remembers what it was asked."""

    name, hash, labels = "counting", "0", ("toxicity",)

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, texts: Any, reporter: Any = None, batch: int = 64) -> np.ndarray:
        self.asked += texts
        return np.array([[len(t.split()) / 10] for t in texts], dtype=np.float32).reshape(-1, 1)

    def toxicity(self, texts: Any, reporter: Any = None) -> np.ndarray:
        return self.score(texts)[:, 0]


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def read() -> Callable[..., Any]:
    """Logits (t, v) and targets (t,) of a response after its prompt, one text, straight through the model."""

    def through(lm: Any, prompt: str, response: str) -> Any:
        import torch

        head = lm.tokenizer(prompt, add_special_tokens=False).input_ids or [lm.tokenizer.bos_token_id]
        tail = lm.tokenizer((" " if prompt else "") + response, add_special_tokens=False).input_ids
        ids = torch.tensor([head + tail])
        return lm.model(ids).logits[0, len(head) - 1 : -1], ids[0, len(head) :]

    return through
