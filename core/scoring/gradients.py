"""Length of one row's loss gradient: over the output head in closed form, over other weights by going back.

A row's loss is, up to a constant, sum over its sides s of c_s log pi(s): one side for NLL, two for DPO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.lm.head import read_head
from core.lm.load import LanguageModel
from core.lm.logprobs import scored_logits
from core.lm.tokenise import Encoded, collate

if TYPE_CHECKING:
    import torch

Row = tuple[Sequence[Encoded], Sequence[float]]  # the sides and their factors c_s


def head_norms(lm: LanguageModel, rows: Sequence[Row]) -> NDArray[np.float64]:
    """(b,) norm of each row's gradient over the head's weights, from one forward pass (selection.md 6.2).

    Tied input embeddings are the same weights once more; what flows back into them there is left out.
    """
    import torch

    texts = [side for sides, _ in rows for side in sides]
    batch = collate(texts, lm.tokenizer, lm.device)
    norms, start = [], 0
    with torch.inference_mode():
        view = read_head(lm.model, batch)
        targets = batch.ids[batch.response]
        for sides, factors in rows:
            counts = [side.scored for side in sides]
            own = slice(start, start + sum(counts))
            # row by row: these logits then stay in the processor's cache
            errors = view.logits[own].softmax(dim=-1)
            errors[range(len(errors)), targets[own]] -= 1.0
            norms.append(outer_norm(errors, view.hidden[own], np.repeat(factors, counts), view.bias))
            start = own.stop
    return np.array(norms, dtype=np.float64)


def outer_norm(errors: Any, hidden: Any, factors: NDArray[np.float64], bias: bool = False) -> float:
    """||sum_t c_t e_t (h_t, 1)^T||_F of errors (t, v), hidden (t, d), factors (t,); the 1 only with a bias.

    Squared it is sum_{s,t} c_s c_t (e_s.e_t)(h_s.h_t + 1): two t x t Gram matrices, never a v x d gradient.
    """
    gram = ((errors @ errors.T) * (hidden @ hidden.T + float(bias))).cpu().numpy().astype(np.float64)
    return float(np.sqrt(max(factors @ gram @ factors, 0.0)))  # rounding may leave a zero below zero


def exact_norm(lm: LanguageModel, weights: Sequence[torch.nn.Parameter], row: Row) -> float:
    """Norm of the row's gradient over `weights`, which require gradients, by one backward pass."""
    import torch

    sides, factors = row
    batch = collate(sides, lm.tokenizer, lm.device)
    targets = batch.ids[batch.response]
    shares = np.repeat(factors, [side.scored for side in sides])
    with torch.enable_grad():
        losses = torch.nn.functional.cross_entropy(scored_logits(lm.model, batch), targets, reduction="none")
        total = losses @ torch.as_tensor(shares, dtype=losses.dtype, device=losses.device)
        gradients = torch.autograd.grad(total, list(weights), allow_unused=True)
    norms = [torch.linalg.vector_norm(found) for found in gradients if found is not None]
    return float(torch.stack(norms).norm())
