"""IFD: two losses of the same tokens, with and without the prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.scoring import score

ROWS = [("say it", "hello there", ""), ("a much longer prompt than that", "x", ""), ("no", "y z", "")]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_is_the_loss_after_the_prompt_over_the_loss_without(
    kind: str, pool_of: Any, tiny_folder: Any, tiny_lm: Any, read: Any
) -> None:
    import torch

    def loss(prompt: str, response: str) -> float:
        with torch.no_grad():
            logits, targets = read(tiny_lm(kind), prompt, response)
        return float(torch.nn.functional.cross_entropy(logits, targets))

    # alone: the same tokens, the joining blank among them
    expected = [loss(p, r) / loss("", " " + r) for p, r, _ in ROWS]
    assert max(expected) > 1, "a case that the paper drops is among them, and kept"
    for batch in (1, 16):
        found = score("ifd", pool_of(ROWS), {"batch": batch}, model=str(tiny_folder(kind)))
        assert found == pytest.approx(expected, rel=1e-4)


def test_without_prompt_or_response_there_is_none(pool_of: Any, tiny_folder: Any) -> None:
    found = score("ifd", pool_of([("", "a", ""), ("p", "", "r"), ("p", "a", "")]), model=str(tiny_folder()))
    assert np.isnan(found).tolist() == [True, True, False]
