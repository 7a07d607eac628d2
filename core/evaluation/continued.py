"""How likely a model finds a text as the continuation of another: what LAMBADA and fluency both ask."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.lm.logprobs import scored_logits
from core.lm.tokenise import Batch, Encoded, collate, encode_prompts, start_ids
from core.values import Reporter, Silent

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel

TOKENS = 4096  # tokens of one batch at most: larger ones leave the processor's cache
LOGITS = 1 << 25  # numbers of one batch's logits, 128 MB in float32


NO_TEXT = "not measured: this model's decoder gives no probability of a given text"


def scores_text(lm: LanguageModel) -> bool:
    """Whether the model, as it decodes, gives every text a probability."""
    return lm.decoder is None or lm.decoder.scores_text


def text_logits(lm: LanguageModel, batch: Batch) -> torch.Tensor:
    """Logits that predict the scored tokens, (n, vocabulary): the model's, as its decoder changes them."""
    return scored_logits(lm.model, batch) if lm.decoder is None else lm.decoder.text_logits(lm, batch)


def score_continuations(
    lm: LanguageModel,
    contexts: Sequence[str],
    continuations: Sequence[str],
    *,
    what: str = "continuations judged",
    reporter: Reporter = Silent(),
) -> pd.DataFrame:
    """Per text, in order: logprob (nats, summed over the continuation's tokens), tokens, greedy.

    greedy: every token is the model's first choice. Context and continuation are tokenised as one text; what
    the context's own tokens do not cover is the continuation. A context longer than the model's window is cut
    at its left. Where nothing can be scored (an empty continuation, or one that fills the window alone)
    tokens is 0 and logprob NaN; NaN too where the model's output is not finite.
    """
    texts = [_encode(lm, c, t) for c, t in zip(contexts, continuations, strict=True)]
    logprob, tokens, greedy = (
        np.full(len(texts), np.nan),
        np.zeros(len(texts), np.int64),
        np.zeros(len(texts)),
    )
    left = sorted((i for i, t in enumerate(texts) if t is not None), key=lambda i: len(_known(texts[i]).ids))
    total = len(left)
    while left:
        reporter.progress(total - len(left), total, what)
        part = _longest(left, texts, lm)
        left = left[: -len(part)]
        logprob[part], tokens[part], greedy[part] = _batch(lm, [_known(texts[i]) for i in part])
    reporter.progress(total, total, what)
    return pd.DataFrame({"logprob": logprob, "tokens": tokens, "greedy": greedy > 0})


def _known(text: Encoded | None) -> Encoded:
    assert text is not None  # those that cannot be scored were left out
    return text


def _encode(lm: LanguageModel, context: str, continuation: str) -> Encoded | None:
    """Both as one text in the model's window; None where no token, or no room for one before, is left."""
    first = start_ids(lm.tokenizer)
    head, whole = encode_prompts(lm.tokenizer, [context, context + continuation], sys.maxsize)
    if not context:  # then a start token stands in the context's place, which the whole may lack
        whole = head + whole[len(first) :]
    same = next((i for i, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), len(head))
    start = max(1, same)  # a token over the boundary belongs to the continuation
    scored = len(whole) - start
    room = lm.context + 1 - max(1, len(first))  # the last token is never read
    if not continuation or not 0 < scored <= room:
        return None
    fixed = len(first) if start >= len(first) else 0
    over = max(0, len(whole) - (lm.context + 1))
    return Encoded(tuple(whole[:fixed] + whole[fixed + over :]), start - over)


def _longest(left: Sequence[int], texts: Sequence[Encoded | None], lm: LanguageModel) -> list[int]:
    """The last ones of `left` that fit into one batch: from the longest, so too little memory shows early."""
    longest = len(_known(texts[left[-1]]).ids)
    part = list(left[-max(1, TOKENS // longest) :])
    scored = max(len(t.ids) - t.start for t in (_known(texts[i]) for i in part))
    vocabulary = int(lm.model.config.get_text_config().vocab_size)
    return part[-max(1, LOGITS // (scored * vocabulary)) :]


def _batch(lm: LanguageModel, texts: list[Encoded]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Summed log-probability, number of tokens and whether all are first choice, (b,) each."""
    import torch

    with torch.inference_mode():
        batch = collate(texts, lm.tokenizer, lm.device)
        logits = text_logits(lm, batch)
        ids, rows = batch.ids[batch.response], batch.response.nonzero()[:, 0]
        each = -torch.nn.functional.cross_entropy(logits, ids, reduction="none").double()
        wrong = (logits.argmax(-1) != ids) | ~each.isfinite()
        zero = torch.zeros(len(texts), dtype=torch.float64, device=each.device)
        sums, misses = zero.index_add(0, rows, each), zero.index_add(0, rows, wrong.double())
    return sums.cpu().numpy(), batch.response.sum(1).cpu().numpy(), (misses == 0).cpu().numpy()
