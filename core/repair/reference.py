"""Summed log-probabilities of texts under the untouched model: computed once per model and text."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.lm.load import LanguageModel
from core.lm.logprobs import sequence_sums, token_logprobs
from core.lm.tokenise import Encoded, collate
from core.repair.base import ReferenceMemo
from core.values import Reporter

if TYPE_CHECKING:
    import torch

ROWS = 32  # texts per forward pass of the untouched model, and per write to the memo
WHAT = "reference log-probabilities"


class ReferenceSums:
    """What DPO and NPO compare the policy with, without a second model in memory.

    Only texts that the memo does not know are computed, shortest first, in chunks that are put into it one by
    one: a run that is killed and taken up again makes the same chunks from where it was.
    """

    def __init__(self, lm: LanguageModel, memo: ReferenceMemo | None = None) -> None:
        self.lm, self.memo = lm, memo
        self.known: dict[Encoded, float] = {}

    def prepare(self, texts: Sequence[Encoded], reporter: Reporter) -> None:
        """Learn the sum of every text from the memo, or from the model as it is now."""
        wanted = sorted({t for t in texts if t not in self.known}, key=lambda t: (len(t.ids), t.ids, t.start))
        keys = {text: self._key(text) for text in wanted} if self.memo is not None else {}
        if self.memo is not None:
            found = self.memo.get(list(keys.values()))
            self.known |= {t: float(v[0]) for t, v in zip(wanted, found, strict=True) if v is not None}
        missing = [text for text in wanted if text not in self.known]
        for at in range(0, len(missing), ROWS):
            chunk = missing[at : at + ROWS]
            self.known |= dict(zip(chunk, self._sums(chunk), strict=True))
            if self.memo is not None:
                values: list[Any] = [np.array([self.known[text]]) for text in chunk]
                self.memo.put([keys[text] for text in chunk], values)
            reporter.progress(at + len(chunk), len(missing), WHAT)

    def of(self, texts: Sequence[Encoded]) -> torch.Tensor:
        """The sums of these texts, (n,) float32 on the model's device."""
        import torch

        return torch.tensor([self.known[text] for text in texts], dtype=torch.float32, device=self.lm.device)

    def _sums(self, texts: Sequence[Encoded]) -> list[float]:
        """Sums of texts sorted by length, those of one length read together.

        Padding would change last bits, and what a text stands beside depends on what other runs asked before.
        """
        import torch

        sums: list[float] = []
        for _, alike in itertools.groupby(texts, key=lambda text: len(text.ids)):
            batch = collate(list(alike), self.lm.tokenizer, self.lm.device)
            with torch.no_grad():
                sums += sequence_sums(token_logprobs(self.lm.model, batch)).tolist()
        return sums

    def _key(self, text: Encoded) -> str:
        """Names the text and how it is computed: bfloat16 gives other sums than float32."""
        import torch

        kind = torch.device(self.lm.device).type
        computed = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.lm.model.dtype
        content = np.array([text.start, *text.ids], dtype=np.int64).tobytes()
        return f"logprob-{computed}-{hashlib.sha256(content).hexdigest()[:32]}"
