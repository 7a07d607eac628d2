"""Objectives that push bad text down: NPO, gradient ascent with something retained, and penalised tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.lm.load import LanguageModel
from core.lm.logprobs import sequence_sums, token_logprobs
from core.lm.tokenise import Batch, Encoded, collate
from core.repair.base import ReferenceMemo, RetainParams, Setting
from core.repair.objectives import Likelihood, Sum, WithKL
from core.repair.reference import ReferenceSums
from core.training.losses import npo, sequence_nll, token_penalty
from core.training.parts import Objective, Pair, Terms
from core.values import Reporter

if TYPE_CHECKING:
    import torch


class Suppression:
    """NPO: the bad text goes down relative to the untouched model, ever less the more unlikely it gets."""

    def __init__(self, lm: LanguageModel, beta: float, memo: ReferenceMemo | None = None) -> None:
        self.lm, self.beta = lm, beta
        self.reference = ReferenceSums(lm, memo)

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Summed log-probabilities of the bad texts under the model as it is now."""
        self.reference.prepare([p.bad for p in pairs], reporter)

    def skip(self, steps: int) -> None:
        """Nothing is drawn."""

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """Mean NPO loss of the batch."""
        values, sums, tokens = self._values(pairs)
        loss = values.mean()
        return Terms(loss, {"npo": loss, "logprob_bad": sums.mean()}, tokens)

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """NPO loss per pair."""
        return self._values(pairs)[0]

    def _values(self, pairs: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor, int]:
        bad = [p.bad for p in pairs]
        batch = collate(bad, self.lm.tokenizer, self.lm.device)
        sums = sequence_sums(token_logprobs(self.lm.model, batch))
        return npo(sums, self.reference.of(bad), self.beta), sums, batch.tokens


def retaining(weight: float, down: Objective, setting: Setting) -> Objective:
    """`weight` times what pushes down, plus what is retained: good text, ways on normal text, or nothing."""
    params: RetainParams = setting.params
    if params.kept == "nll":
        good = Likelihood(setting.lm, per=params.per)
        return Sum((weight, down), (params.alpha, good))
    alone = Sum((weight, down))
    return WithKL(alone, setting, params.alpha) if params.kept == "kl" else alone


class TokenPenalty:
    """IF-Guide's objective: cross-entropy, its sign turned on the tokens that the mask names.

    Validation penalises nothing: plain cross-entropy of the good texts.
    """

    def __init__(self, lm: LanguageModel, penalty: float, clamp: float | None = None) -> None:
        self.lm, self.penalty, self.clamp = lm, penalty, clamp

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is needed of the untouched model."""

    def skip(self, steps: int) -> None:
        """Nothing is drawn."""

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """The batch's loss; the mean loss of plain and of penalised tokens are told beside it."""
        import torch

        texts, masks = zip(*(told(pair) for pair in pairs), strict=True)
        batch = self._batch(texts)
        longest = batch.ids.shape[1]
        penalised = torch.tensor([[*m, *[False] * (longest - len(m))] for m in masks], device=self.lm.device)
        logprobs = token_logprobs(self.lm.model, batch)
        value = token_penalty(logprobs, batch.response, penalised, self.penalty, self.clamp)
        parts = {}
        for name, among in (("nll", batch.response & ~penalised), ("nll_bad", batch.response & penalised)):
            if among.any():  # a mean of nothing is not told
                parts[name] = -logprobs[among].mean()
        return Terms(value, parts, batch.tokens)

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """NLL per good text."""
        batch = self._batch([p.good for p in pairs])
        return sequence_nll(token_logprobs(self.lm.model, batch), batch.response)

    def _batch(self, texts: Sequence[Encoded]) -> Batch:
        return collate(texts, self.lm.tokenizer, self.lm.device)


def told(pair: Pair) -> tuple[Encoded, tuple[bool, ...]]:
    """The text a pair is trained on, and which of its tokens are penalised, (len(ids),).

    It is the response; where there is none, the rejected text, if at least one of its tokens is penalised.
    A rejected text without any is never trained toward: then nothing is scored.
    """
    if pair.good.scored > 0:
        return pair.good, pair.good_mask or (False,) * len(pair.good.ids)
    if any(pair.bad_mask[max(pair.bad.start, 1) :]):
        return pair.bad, pair.bad_mask
    return Encoded(pair.good.ids, len(pair.good.ids)), (False,) * len(pair.good.ids)
