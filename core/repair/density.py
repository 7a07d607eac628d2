"""Error density: how much more of the bad texts' gradient the worst fifth of the blocks has than the rest.

Imtiaz et al., "IRepair", FSE 2025, doi:10.1145/3715775, section 6 and figure 2 (repair-and-evaluation A7).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import BadInput, MissingInput
from core.lm.load import LanguageModel
from core.lm.logprobs import token_logprobs
from core.lm.tokenise import Encoded, collate
from core.repair.base import RepairParams
from core.repair.scopes import block_weights, mean_gradient_norms, sensitivities
from core.repair.texts import tokenised
from core.training.losses import nll
from core.values import Example, Params, Reporter, Silent
from core.workspace import content_key
from core.workspace.partial import Partial

Floats = NDArray[np.float64]
SHARE = (1, 5)  # the worst fifth of the blocks, rounded down
WHAT = "bad texts whose gradient is measured"


class DensityParams(Params):
    """What is measured, and how much of each text is read."""

    rows: int = Field(2000, ge=1, description="Random examples with a bad text (the paper: 2,000).")
    seed: int = Field(0, ge=0, lt=2**32, description="Which ones.")
    prompt_tokens: int = Field(64, ge=0, description="Tokens kept of a prompt, the last ones.")
    response_tokens: int = Field(64, ge=1, description="Tokens kept of a bad text, the first ones.")
    score_prompt: bool = Field(False, description="Score the prompt's tokens too.")


class Sensitivities(NamedTuple):
    """Both estimators of a block's sensitivity (A9.5); they differ where texts pull different ways (F-1c)."""

    each: Floats  # (n, blocks) per example: L2 norm of its own gradient
    of_mean: Floats  # (blocks,) norm of the averaged gradient, which the Fixed ablation chooses by

    @property
    def mean(self) -> Floats:
        """Mean of the per-example norms, (blocks,): the paper's research question 3, and what is charted."""
        mean: Floats = self.each.mean(axis=0)
        return mean


class Density(NamedTuple):
    """How a total is spread over blocks; not a number where there is nothing to compare with."""

    blocks: tuple[int, ...]  # numbers of the worst fifth, worst first
    top: float  # mean relative sensitivity of those
    rest: float  # and of all others
    percent: float  # how much denser the worst fifth is: 100 * (top / rest - 1)
    margin: float  # how far the second is behind the first, in percent of the first


def block_sensitivities(
    lm: LanguageModel,
    examples: Sequence[Example],
    params: DensityParams | None = None,
    reporter: Reporter | None = None,
    *,
    folder: Path | None = None,
) -> Sensitivities:
    """Go backward through the NLL of each bad text, and of all of them together, at the model's weights.

    At most `params.rows` of the examples are taken. With a `folder`, which is the caller's to remove, a
    killed measurement of a model as it was loaded goes on where it was. The model is left as it was found.
    Raises MissingInput where no example has a bad text.
    """
    params, reporter = params or DensityParams(), reporter or Silent()
    texts = _drawn(lm, examples, params)
    movable = [(weight, weight.requires_grad) for weight in lm.model.parameters()]
    try:
        of_mean = mean_gradient_norms(lm, texts, reporter)
        each = _one_by_one(lm, texts, reporter, folder)
    finally:
        for weight, move in movable:
            weight.requires_grad_(move)
    return Sensitivities(each, np.array(of_mean))


def relative(sensitivity: Sequence[float] | Floats) -> Floats:
    """Relative toxicity r_b in percent of the largest, (blocks,); all 0 where nothing is sensitive."""
    values = np.asarray(sensitivity, dtype=np.float64)
    largest = values.max(initial=0.0)
    return np.zeros_like(values) if largest == 0 else 100 * values / largest


def density(sensitivity: Sequence[float] | Floats) -> Density:
    """The worst fifth of the blocks against the rest: floor(N / 5) blocks, at least one [ours] (F-10).

    Takes sensitivities or relative ones. Of equal blocks the lower one comes first. Raises BadInput without
    any block.
    """
    values = relative(sensitivity)
    if not len(values):
        raise BadInput("an error density needs at least one block; measure the model's blocks first")
    order = np.argsort(-values, kind="stable")
    k = max(1, len(values) * SHARE[0] // SHARE[1])
    top = float(values[order[:k]].mean())
    rest = float(values[order[k:]].mean()) if len(values) > k else float("nan")
    ratio = top / rest if rest > 0 else float("nan")
    first, second = values[order[0]], values[order[min(1, len(values) - 1)]]
    margin = float(100 * (first - second) / first) if len(values) > 1 and first > 0 else float("nan")
    return Density(tuple(int(b) for b in order[:k]), top, rest, 100 * (ratio - 1), margin)


def _drawn(lm: LanguageModel, examples: Sequence[Example], params: DensityParams) -> list[Encoded]:
    """The bad texts that are measured, in the examples' order."""
    bad = [e for e in examples if e.rejected.strip()]
    if not bad:
        raise MissingInput(
            f"none of {len(examples)} examples has a rejected text, whose gradient is measured; select "
            "rows that have one"
        )
    order = np.sort(np.random.default_rng(params.seed).permutation(len(bad))[: params.rows])
    given = RepairParams(
        prompt_tokens=params.prompt_tokens,
        response_tokens=params.response_tokens,
        score_prompt=params.score_prompt,
    )
    return [pair.bad for pair in tokenised(lm, [bad[i] for i in order], given)]


def _one_by_one(
    lm: LanguageModel, texts: Sequence[Encoded], reporter: Reporter, folder: Path | None
) -> Floats:
    own = block_weights(lm)
    key = content_key({"model": lm.hash, "texts": [[t.start, *t.ids] for t in texts], "code": 1})
    with Partial(folder, key, (len(texts), len(own)), np.float64) as work:
        while work.done < len(texts):
            batch = collate([texts[work.done]], lm.tokenizer, lm.device)
            loss = nll(token_logprobs(lm.model, batch), batch.response)
            work.advance(np.array([sensitivities(loss, own)]))
            reporter.progress(work.done, len(texts), WHAT)
        return np.array(work.values)
