"""GraNd: how long the gradient of one row's loss is, that is how hard the row would pull at the weights.

Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021 (arXiv:2107.07075), section 2, there
over all parameters and averaged over trained initialisations; per response for language models, by default
over the output head alone ("head-only": tied input embeddings are ignored), as selection.md, sections 6.2 and
6.3 (reconstruction). The paper's scores at initialisation did not replicate (arXiv:2303.14753): take a model
that is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.lm.load import LanguageModel, blocks
from core.scoring.base import Tools, scoring
from core.scoring.gradients import Row, exact_norm, head_norms
from core.scoring.responses import ResponseParams, Sides, encode_sides, opened, per_row
from core.values import Pool, Reporter

if TYPE_CHECKING:
    import torch


class GrandParams(ResponseParams):
    """Over which weights, and of which loss, the gradient is taken."""

    scope: Literal["head", "last_block", "all"] = Field(
        "head",
        description="head = the output head only, in closed form from one forward pass; last_block, all = "
        "exact, one backward pass per row.",
    )
    loss: Literal["nll", "dpo"] = Field(
        "nll",
        description="nll = of the response after its prompt; dpo = of the pair, at the first step.",
    )
    reduction: Literal["mean", "sum"] = Field(
        "mean",
        description="nll over tokens: mean, or sum, which favours long ones; dpo always sums, as defined.",
    )
    beta: float = Field(0.1, gt=0, description="DPO's beta: a factor of every value, the order stays.")


@scoring(
    title="GraNd",
    source="arXiv:2107.07075 (reconstruction for language models)",
    direction="higher is harder",
    unit="gradient norm",
    needs=("model",),
)
def grand(pool: Pool, params: GrandParams, tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """L2 norm of the gradient of each row's loss; NaN without response, or for dpo without both sides.

    At DPO's first step policy and reference agree, and the norm is beta / 2 ||grad log pi(y+) - grad log
    pi(y-)|| (selection.md 6.2): its loss is then ln 2 for every pair and tells nothing, its gradient does.
    """
    lm = opened(tools)
    columns = ("response", "rejected") if params.loss == "dpo" else ("response",)
    sides = encode_sides(pool, lm, params, *columns)
    if params.scope != "head":
        weights = chosen_weights(lm, params.scope)

        def exact(part: list[Sides]) -> NDArray[np.float64]:
            return np.array([exact_norm(lm, weights, with_factors(row, params)) for row in part])

        return per_row(pool, sides, exact, 1, tools, reporter)

    def head(part: list[Sides]) -> NDArray[np.float64]:
        return head_norms(lm, [with_factors(row, params) for row in part])

    return per_row(pool, sides, head, max(1, params.batch // len(columns)), tools, reporter)


def with_factors(sides: Sides, params: GrandParams) -> Row:
    """The sides of a row, each with the factor its log-probability has in the loss."""
    if params.loss == "dpo":
        return sides, (params.beta / 2, -params.beta / 2)
    return sides, [1.0 / side.scored if params.reduction == "mean" else 1.0 for side in sides]


def chosen_weights(lm: LanguageModel, scope: str) -> list[torch.nn.Parameter]:
    """The weights of the scope; only they require gradients from now on, so that no others are computed."""
    module = blocks(lm.model)[-1] if scope == "last_block" else lm.model
    lm.model.requires_grad_(False)
    return list(module.requires_grad_(True).parameters())
