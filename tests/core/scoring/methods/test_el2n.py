"""EL2N: the test vectors of the specification, and the mean over response tokens."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.scoring import score
from core.scoring.methods.el2n import error_norm
from core.values import Pool


@pytest.mark.parametrize(
    ("logits", "target", "norm"),
    [
        ([0.0, 0.0], 0, 0.707107),
        ([log(3), 0.0], 0, 0.353553),
        ([log(3), 0.0], 1, 1.060660),
        ([0.0, 0.0, 0.0, 0.0], 2, 0.866025),
    ],
)
def test_vectors_of_the_specification(logits: list[float], target: int, norm: float) -> None:
    import torch

    assert error_norm(torch.tensor([logits]), torch.tensor([target])).tolist() == pytest.approx(
        [norm], abs=1e-6
    )


def test_is_the_mean_over_response_tokens(
    pool_of: Callable[..., Pool], tiny_folder: Callable[..., Path], tiny_lm: Callable[..., Any]
) -> None:
    import torch

    lm = tiny_lm()
    head, tail = lm.tokenizer("say").input_ids, lm.tokenizer(" it now").input_ids
    with torch.no_grad():
        p = lm.model(torch.tensor([head + tail])).logits[0].softmax(-1)
    norms = []
    for place, token in enumerate(tail, start=len(head)):
        error = p[place - 1].clone()
        error[token] -= 1
        norms.append(float(error.norm()))
    pool = pool_of([("say", "it now", ""), ("a long prompt to fill the batch", "and a response", "")])
    found = score("el2n", pool, model=str(tiny_folder()))
    assert found[0] == pytest.approx(np.mean(norms), abs=1e-5)
    assert ((found >= 0) & (found <= sqrt(2))).all()
