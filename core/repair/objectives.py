"""What repairs minimise: NLL of a text, DPO over pairs, sums of such, and a KL term on normal text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.lm.load import LanguageModel
from core.lm.logprobs import scored_logits, sequence_sums, token_logprobs
from core.lm.tokenise import Batch, Encoded, collate
from core.repair.base import KLParams, ReferenceMemo, Setting
from core.repair.reference import ReferenceSums
from core.training.losses import Preference, dpo, kl, nll, sequence_nll
from core.training.parts import Objective, Pair, Terms
from core.training.schedule import batches
from core.values import Reporter

if TYPE_CHECKING:
    import torch

CACHE_BYTES = 512 << 20  # a reference distribution larger than this in all is computed anew each time


class Likelihood:
    """`weight` times the NLL of one side of the pairs, in nats per token."""

    def __init__(
        self,
        lm: LanguageModel,
        weight: float = 1.0,
        per: Literal["sequence", "token"] = "sequence",
        side: Literal["good", "bad"] = "good",
    ) -> None:
        self.lm, self.weight, self.per, self.side = lm, weight, per, side

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is needed of the untouched model."""

    def skip(self, steps: int) -> None:
        """Nothing is drawn."""

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """The batch's weighted NLL; its part `nll` (or `nll_bad`) is told without the weight."""
        batch = self._batch(pairs)
        value = nll(token_logprobs(self.lm.model, batch), batch.response, self.per)
        return Terms(self.weight * value, {"nll" if self.side == "good" else "nll_bad": value}, batch.tokens)

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """NLL per pair, without the weight: whatever `per` says, its mean is one over texts."""
        batch = self._batch(pairs)
        return sequence_nll(token_logprobs(self.lm.model, batch), batch.response)

    def _batch(self, pairs: Sequence[Pair]) -> Batch:
        return collate([getattr(p, self.side) for p in pairs], self.lm.tokenizer, self.lm.device)


class Sum:
    """Objectives with a weight each: losses and the values of each pair add up; below 0 one is pushed up."""

    def __init__(self, *terms: tuple[float, Objective]) -> None:
        self.terms = terms

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """What each of them needs."""
        for _, objective in self.terms:
            objective.prepare(pairs, reporter)

    def skip(self, steps: int) -> None:
        """Let each of them pass over its draws."""
        for _, objective in self.terms:
            objective.skip(steps)

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """The weighted sum, with the parts of all, told without the weights."""
        import torch

        found = [(weight, objective.loss(pairs)) for weight, objective in self.terms]
        parts = {name: value for _, terms in found for name, value in terms.parts.items()}
        total = torch.stack([weight * terms.loss for weight, terms in found]).sum()
        return Terms(total, parts, sum(terms.tokens for _, terms in found))

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """The weighted sum per pair; every pair must have a value for each of them."""
        import torch

        return torch.stack([weight * objective.validate(pairs) for weight, objective in self.terms]).sum(0)


class Preferences:
    """DPO: the good text of each pair against the bad one, both relative to the untouched model.

    The reference's sums are computed before training and kept, so that no second model is.
    """

    def __init__(self, lm: LanguageModel, beta: float, memo: ReferenceMemo | None = None) -> None:
        self.lm, self.beta = lm, beta
        self.reference = ReferenceSums(lm, memo)

    def skip(self, steps: int) -> None:
        """Nothing is drawn."""

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Summed log-probabilities of both sides of every pair under the model as it is now."""
        self.reference.prepare(_both(pairs), reporter)

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """Mean DPO loss of the batch; both rewards and the good text's log-probability are told beside it."""
        found, (good, bad), tokens = self._compare(pairs)
        margin = found.reward_good - found.reward_bad
        loss = found.loss.mean()
        parts = {
            "dpo": loss,
            "reward_good": found.reward_good.mean(),
            "reward_bad": found.reward_bad.mean(),
            "accuracy": (margin > 0).float().mean(),
            "logprob_good": good.mean(),
            "logprob_bad": bad.mean(),
        }
        return Terms(loss, parts, tokens)

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """DPO loss per pair."""
        return self._compare(pairs)[0].loss

    def _compare(self, pairs: Sequence[Pair]) -> tuple[Preference, torch.Tensor, int]:
        """DPO of each pair, summed log-probabilities (2, b) of good and bad texts, tokens: one forward."""
        texts = _both(pairs)
        batch = collate(texts, self.lm.tokenizer, self.lm.device)
        sums = sequence_sums(token_logprobs(self.lm.model, batch)).view(2, -1)
        reference = self.reference.of(texts).view(2, -1)
        found = dpo(sums[0], sums[1], reference[0], reference[1], self.beta)
        return found, sums, batch.tokens


def _both(pairs: Sequence[Pair]) -> list[Encoded]:
    """The good texts, then the bad ones."""
    return [p.good for p in pairs] + [p.bad for p in pairs]


class WithKL:
    """An objective plus `weight` times the KL divergence from the untouched model on random normal texts."""

    def __init__(self, inner: Objective, setting: Setting, weight: float = 1.0) -> None:
        params: KLParams = setting.params
        self.inner, self.lm, self.normal, self.weight = inner, setting.lm, setting.normal, weight
        self.direction = params.kl_direction
        self.reference = Reference(setting.lm, setting.normal)
        # its own generator: the order of the pairs is the same with and without KL
        rng = np.random.default_rng([setting.seed, 1])
        self.draws = batches(len(self.normal), params.normal_batch or params.batch, rng)

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """What the inner objective needs."""
        self.inner.prepare(pairs, reporter)

    def skip(self, steps: int) -> None:
        """Pass over the normal texts of the first steps."""
        self.inner.skip(steps)
        for _ in range(steps):
            next(self.draws)

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """The inner loss plus KL over the real positions of the normal texts."""
        import torch

        terms = self.inner.loss(pairs)
        rows = next(self.draws).tolist()
        batch = collate([self.normal[r] for r in rows], self.lm.tokenizer, self.lm.device)
        policy = torch.log_softmax(scored_logits(self.lm.model, batch), dim=-1)
        value = kl(policy, self.reference.logprobs(rows), self.direction)
        return Terms(
            terms.loss + self.weight * value, {**terms.parts, "kl": value}, terms.tokens + batch.tokens
        )

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """What the inner objective says of the pairs: normal text does not decide when to stop [ours]."""
        return self.inner.validate(pairs)


class Reference:
    """The untouched model's log-probabilities on the normal texts, remembered where they fit into memory."""

    def __init__(self, lm: LanguageModel, texts: Sequence[Encoded]) -> None:
        self.lm, self.texts = lm, texts
        self.model: Any = copy.deepcopy(lm.model).requires_grad_(False)
        size = 4 * sum(t.scored for t in texts) * int(lm.model.config.vocab_size)
        self.remembers = size <= CACHE_BYTES
        self.known: dict[int, torch.Tensor] = {}

    def logprobs(self, rows: Sequence[int]) -> torch.Tensor:
        """Log-probabilities at every scored position of these texts, one after the other: (n, vocabulary)."""
        import torch

        missing = [r for r in dict.fromkeys(rows) if r not in self.known]
        found = dict(self.known) if missing else self.known
        # What is remembered is read alone: beside others its last bits differ, and a resumed run, which
        # remembers nothing yet, meets it beside others than the whole run did.
        for part in [[r] for r in missing] if self.remembers else [missing]:
            batch = collate([self.texts[r] for r in part], self.lm.tokenizer, self.lm.device)
            with torch.no_grad():
                logprobs = torch.log_softmax(scored_logits(self.model, batch), dim=-1)
            fresh = zip(part, torch.split(logprobs, [self.texts[r].scored for r in part]), strict=True)
            found |= {r: values.clone() if self.remembers else values for r, values in fresh}
        if self.remembers:
            self.known = found
        return torch.cat([found[r] for r in rows])
