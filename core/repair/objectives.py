"""What repairs minimise: NLL of the good text, DPO over pairs, and a KL term that holds on to normal text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.lm.load import LanguageModel
from core.lm.logprobs import scored_logits, sequence_sums, token_logprobs
from core.lm.tokenise import Batch, Encoded, collate
from core.repair.base import KLParams, Setting
from core.training.loop import Objective, Pair, Terms
from core.training.losses import dpo, kl, nll, sequence_nll
from core.training.schedule import batches
from core.values import Reporter

if TYPE_CHECKING:
    import torch

REFERENCE_ROWS = 16  # pairs per forward pass of the untouched model
CACHE_BYTES = 512 << 20  # a reference distribution larger than this in all is computed anew each time


class Likelihood:
    """`weight` times the NLL of the good texts, a mean of per-sequence means, in nats per token."""

    def __init__(self, lm: LanguageModel, weight: float = 1.0) -> None:
        self.lm, self.weight = lm, weight

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Nothing is needed of the untouched model."""

    def skip(self, steps: int) -> None:
        """Nothing is drawn."""

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """The batch's weighted NLL; its part `nll` is told without the weight."""
        batch = self._batch(pairs)
        value = nll(token_logprobs(self.lm.model, batch), batch.response)
        return Terms(self.weight * value, {"nll": value}, batch.tokens)

    def validate(self, pairs: Sequence[Pair]) -> torch.Tensor:
        """NLL per pair."""
        batch = self._batch(pairs)
        return sequence_nll(token_logprobs(self.lm.model, batch), batch.response)

    def _batch(self, pairs: Sequence[Pair]) -> Batch:
        return collate([p.good for p in pairs], self.lm.tokenizer, self.lm.device)


class Preferences:
    """DPO: the good text of each pair against the bad one, both relative to the untouched model.

    The reference's sums are computed once, before training, so that no second model is kept.
    """

    def __init__(self, lm: LanguageModel, beta: float) -> None:
        self.lm, self.beta = lm, beta
        self.reference: dict[int, torch.Tensor] = {}  # pair number -> (2,) summed log-probabilities

    def skip(self, steps: int) -> None:
        """Nothing is drawn."""

    def prepare(self, pairs: Sequence[Pair], reporter: Reporter) -> None:
        """Summed log-probabilities of both sides of every pair under the model as it is now."""
        import torch

        by_length = sorted(pairs, key=lambda p: max(len(p.good.ids), len(p.bad.ids)))  # little padding
        for at in range(0, len(pairs), REFERENCE_ROWS):
            part = by_length[at : at + REFERENCE_ROWS]
            with torch.no_grad():
                sums, _ = self._sums(part)
            self.reference |= {p.number: sums[:, i] for i, p in enumerate(part)}
            reporter.progress(min(at + REFERENCE_ROWS, len(pairs)), len(pairs), "reference log-probabilities")

    def loss(self, pairs: Sequence[Pair]) -> Terms:
        """Mean DPO loss of the batch; both rewards and the good text's log-probability are told beside it."""
        (good, bad), tokens = self._sums(pairs)
        ref_good, ref_bad = self._reference(pairs)
        found = dpo(good, bad, ref_good, ref_bad, self.beta)
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
        (good, bad), _ = self._sums(pairs)
        ref_good, ref_bad = self._reference(pairs)
        return dpo(good, bad, ref_good, ref_bad, self.beta).loss

    def _sums(self, pairs: Sequence[Pair]) -> tuple[torch.Tensor, int]:
        """Summed log-probabilities (2, b) of good and bad texts from one forward pass, and its tokens."""
        texts = [p.good for p in pairs] + [p.bad for p in pairs]
        batch = collate(texts, self.lm.tokenizer, self.lm.device)
        return sequence_sums(token_logprobs(self.lm.model, batch)).view(2, -1), batch.tokens

    def _reference(self, pairs: Sequence[Pair]) -> torch.Tensor:
        import torch

        return torch.stack([self.reference[p.number] for p in pairs], dim=1)


class WithKL:
    """An objective plus the KL divergence from the untouched model on a random batch of normal texts."""

    def __init__(self, inner: Objective, setting: Setting) -> None:
        params: KLParams = setting.params
        self.inner, self.lm, self.normal = inner, setting.lm, setting.normal
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
        return Terms(terms.loss + value, {**terms.parts, "kl": value}, terms.tokens + batch.tokens)

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
        if missing:
            batch = collate([self.texts[r] for r in missing], self.lm.tokenizer, self.lm.device)
            with torch.no_grad():
                logprobs = torch.log_softmax(scored_logits(self.model, batch), dim=-1)
            fresh = zip(missing, torch.split(logprobs, [self.texts[r].scored for r in missing]), strict=True)
            found |= {r: values.clone() if self.remembers else values for r, values in fresh}
        if self.remembers:
            self.known = found
        return torch.cat([found[r] for r in rows])
