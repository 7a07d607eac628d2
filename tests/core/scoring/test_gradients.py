"""The closed form over the head: the specification's numbers, and the same as a backward pass."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lm.tokenise import encode_pairs
from core.scoring.gradients import exact_norm, head_norms, outer_norm

ONE = np.ones(1)
PAIRS = [("say it", "hello there", "no"), ("", "abc", "a longer one than that"), ("p", "x", "x y")]


def norm(errors: list[list[float]], hidden: list[list[float]], factors: Any, bias: bool = False) -> float:
    import torch

    return outer_norm(
        torch.tensor(errors, dtype=torch.float64),
        torch.tensor(hidden, dtype=torch.float64),
        np.asarray(factors, dtype=np.float64),
        bias,
    )


def test_one_token_of_the_specification() -> None:
    p = 3 / (3 + np.exp(0))  # softmax of (ln 3, 0)
    assert log(3) == pytest.approx(np.log(p / (1 - p)))
    error = [[p - 1, 1 - p]]
    assert norm(error, [[3, 4]], ONE) == pytest.approx(1.767767, abs=1e-6)
    assert norm(error, [[3, 4]], ONE, bias=True) == pytest.approx(1.802776, abs=1e-6)


@pytest.mark.parametrize(
    ("second", "hidden", "factor", "expected"),
    [
        ([0.5, -0.5], [[1, 0], [1, 0]], 0.5, 0.0),
        ([0.5, -0.5], [[1, 0], [0, 1]], 0.5, 0.5),
        ([0.5, -0.5], [[1, 0], [0, 1]], 1.0, 1.0),
        ([-0.5, 0.5], [[1, 0], [1, 0]], 0.5, 0.707107),
    ],
)
def test_two_tokens_of_the_specification(
    second: list[float], hidden: list[list[float]], factor: float, expected: float
) -> None:
    assert norm([[-0.5, 0.5], second], hidden, [factor, factor]) == pytest.approx(expected, abs=1e-6)


def test_dpo_at_its_first_step_of_the_specification() -> None:
    assert norm([[1, 2, 2], [1, 0, 0]], [[1], [1]], [0.05, -0.05]) == pytest.approx(0.141421, abs=1e-6)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 2**32 - 1))
def test_is_the_norm_of_the_gradient_written_out(t: int, v: int, d: int, bias: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors, hidden, factors = rng.normal(size=(t, v)), rng.normal(size=(t, d)), rng.normal(size=t)
    read = np.hstack([hidden, np.ones((t, 1))]) if bias else hidden
    written_out = sum(c * np.outer(e, h) for c, e, h in zip(factors, errors, read, strict=True))
    found = norm(errors.tolist(), hidden.tolist(), factors, bias)
    assert found == pytest.approx(np.linalg.norm(written_out), abs=1e-6)


def own_head(lm: Any, bias: bool) -> Any:
    """The model with a head of its own, untied from the input embeddings."""
    import torch

    old = lm.model.get_output_embeddings().weight
    head = torch.nn.Linear(old.shape[1], old.shape[0], bias=bias)
    with torch.no_grad():
        head.weight.copy_(old)
        if bias:
            head.bias.copy_(torch.linspace(-1, 1, len(old)))
    lm.model.set_output_embeddings(head)
    return head


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neo", "gpt_neox", "llama"])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_autograd_over_an_untied_head(kind: str, bias: bool, tiny_lm: Callable[..., Any]) -> None:
    lm = tiny_lm(kind)
    head = own_head(lm, bias)
    prompts, goods, bads = zip(*PAIRS, strict=True)
    good, bad = (encode_pairs(lm.tokenizer, prompts, texts, context=64) for texts in (goods, bads))
    rows: list[Any] = [((g,), (1 / g.scored,)) for g in good]
    rows += [((g, b), (0.05, -0.05)) for g, b in zip(good, bad, strict=True)]
    together = head_norms(lm, rows)
    lm.model.requires_grad_(False)
    weights = list(head.requires_grad_(True).parameters())
    assert len(weights) == 1 + bias
    assert together == pytest.approx([exact_norm(lm, weights, row) for row in rows], rel=1e-4)
    assert together == pytest.approx([head_norms(lm, [row])[0] for row in rows], rel=1e-4), "padding counts"


def test_equal_sides_pull_nowhere(tiny_lm: Callable[..., Any]) -> None:
    lm = tiny_lm()
    (text,) = encode_pairs(lm.tokenizer, ["a"], ["the very same"], context=64)
    alone = head_norms(lm, [((text,), (1.0,))])[0]
    assert head_norms(lm, [((text, text), (1.0, -1.0))])[0] < 1e-3 * alone
