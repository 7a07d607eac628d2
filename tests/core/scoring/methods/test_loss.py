"""Loss: the model's own mean NLL of the response, whatever else is in the batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.scoring import score
from core.values import Pool

ROWS = [
    ("say it", "hello there", ""),
    ("", "abc", ""),
    ("a much longer prompt than that", "x", ""),
    ("no", "", "y"),
]


def by_hand(lm: Any, prompt: str, response: str) -> float:
    """One text at a time, straight through the model: prompt tokens are read, response tokens scored."""
    import torch

    head = lm.tokenizer(prompt).input_ids or [lm.tokenizer.bos_token_id]
    tail = lm.tokenizer((" " if prompt else "") + response).input_ids
    ids = torch.tensor([head + tail])
    with torch.no_grad():
        log_p = lm.model(ids).logits.log_softmax(-1)[0]
    scored = [-float(log_p[place - 1, ids[0, place]]) for place in range(len(head), len(head) + len(tail))]
    return sum(scored) / len(scored)


def test_is_the_mean_negative_log_likelihood_of_the_response(
    pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path], tiny_lm: Callable[..., Any]
) -> None:
    expected = [by_hand(tiny_lm(), p, r) for p, r, _ in ROWS[:3]]
    for batch in (1, 2, 16):
        found = score("loss", pool_of(ROWS), {"batch": batch}, model=str(tiny_folder()))
        assert found[:3].tolist() == pytest.approx(expected, abs=1e-4)


def test_only_the_first_response_tokens_count(
    pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path]
) -> None:
    model = str(tiny_folder())
    short = score("loss", pool_of([("p", "abcd", "")]), {"response_tokens": 3}, model=model)
    other = score("loss", pool_of([("p", "abzz", "")]), {"response_tokens": 3}, model=model)
    assert short == pytest.approx(other), "the third token is the blank and 'a', 'b': what follows is cut"
