"""Token perplexity in disjoint and strided windows, and bits per byte, with intervals over documents.

Exact sums over the scored positions (repair-and-evaluation E2 and F-9, selection 4.1); the window scheme is
that of the Hugging Face page "Perplexity of fixed-length models". Token perplexity compares models of one
tokenizer only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import BadInput
from core.evaluation.continued import NO_TEXT, scores_text, text_logits
from core.evaluation.measures import NOT_FINITE, measure
from core.lm.tokenise import Encoded, collate, encode_prompts
from core.statistics import bootstrap_ratio
from core.values import Measure, Reporter, Silent

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

PARITY_WINDOW = 1024  # published GPT-2 numbers use it; a longer context would see more and not compare
LOGITS = 1 << 25  # numbers of one batch's logits, 128 MB in float32
TOKENS = 4096  # tokens of one batch at most: larger ones leave the processor's cache
DISJOINT, STRIDED = "disjoint", "strided"
MEASURES = ("perplexity", "perplexity_strided", "bits_per_byte")
NO_UNITS = pd.DataFrame(columns=["unit", "windows", "nll", "tokens", "bytes"])


class Window(NamedTuple):
    """Tokens start..end of a document go through the model together; those from `scored` on count."""

    start: int
    end: int
    scored: int


@dataclass(frozen=True)
class TextResult:
    """Measures of one text set, and the sums they were made from."""

    measures: dict[str, Measure]  # perplexity, perplexity_strided, bits_per_byte
    units: pd.DataFrame  # unit (document or window), windows, nll (nats), tokens, bytes: scored ones only


@dataclass(frozen=True)
class _Document:
    ids: NDArray[np.int64]  # (t,)
    bytes: NDArray[np.int64]  # (t,) UTF-8 bytes each token stands for


def windows(length: int, context: int, stride: int) -> list[Window]:
    """Every position but the first is scored exactly once, if some window sees it with a token before it.

    stride = context: disjoint, each window loses its first token. Smaller strides give context to every
    token.
    """
    out, done = [], 0
    for start in range(0, length, stride):
        end = min(start + context, length)
        out.append(Window(start, end, max(start + 1, done)))
        done = end
        if end == length:
            break
    return [window for window in out if window.scored < window.end]


def measure_text(
    lm: LanguageModel,
    documents: Sequence[str],
    *,
    joined: bool = False,
    window: int | None = None,
    stride: int | None = None,
    reporter: Reporter = Silent(),
) -> TextResult:
    """Perplexity of `documents`, each behind the start token and on its own; lower is better.

    `joined` glues them with two newlines and tokenises once, without a start token: the published WikiText-2
    procedure; the unit of resampling is then the window. window: tokens seen at once, default min(context,
    1024); stride: tokens between strided windows, default window // 2. Not-finite sums give a value of None,
    and so does a model whose decoder gives no probability of a text.
    """
    window = window or min(lm.context, PARITY_WINDOW)
    stride = stride or max(1, window // 2)
    _check(documents, window, stride, lm.context)
    if not scores_text(lm):
        return TextResult({name: Measure(value=None, note=NO_TEXT) for name in MEASURES}, NO_UNITS)
    texts = ["\n\n".join(documents)] if joined else list(documents)
    rows = [_tokenise(lm, text, start=not joined) for text in texts]
    plans = {
        DISJOINT: [windows(len(row.ids), window, window) for row in rows],
        STRIDED: [windows(len(row.ids), window, stride) for row in rows],
    }
    nll = _run(lm, rows, plans, reporter)
    units = pd.concat([_units(kind, rows, plan, nll, joined) for kind, plan in plans.items()])
    if not units["tokens"].sum():
        raise BadInput(
            f"{len(documents)} documents were to be measured, but none has a token that can be scored; "
            "give documents of at least two tokens"
        )
    steps = {DISJOINT: window, STRIDED: stride}
    return TextResult(_measures(units, window, steps, joined), units.reset_index(drop=True))


def _check(documents: Sequence[str], window: int, stride: int, context: int) -> None:
    if not any(documents):
        raise BadInput("perplexity was asked for, but the text set holds no text; give at least one document")
    if not 2 <= window <= context:  # noqa: PLR2004 - a window scores nothing below two tokens
        raise BadInput(f"a window of {window} tokens was asked for; this model can use 2 to {context}")
    if not 1 <= stride <= window:
        raise BadInput(f"a stride of {stride} was asked for; with windows of {window} give 1 to {window}")


def _tokenise(lm: LanguageModel, text: str, *, start: bool) -> _Document:
    """Ids and the bytes each stands for: what lies between the ends of two tokens is the later one's."""
    fast = bool(getattr(lm.tokenizer, "is_fast", False))
    coded = lm.tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast, verbose=False)
    ids = list(coded["input_ids"])
    before = np.concatenate([[0], np.cumsum([len(c.encode("utf-8", "surrogatepass")) for c in text])])
    if fast:
        ends = before[np.array([end for _, end in coded["offset_mapping"]], dtype=np.int64)]
    else:  # a tokenizer without offsets: the bytes spread evenly, their sum stays exact
        ends = np.round(np.arange(1, len(ids) + 1) * before[-1] / max(1, len(ids)))
    if len(ends):
        ends[-1] = before[-1]
    sizes = np.diff(np.maximum.accumulate(ends), prepend=0) if len(ends) else ends
    first = encode_prompts(lm.tokenizer, [""], 1)[0] if start else []
    return _Document(
        np.array([*first, *ids], dtype=np.int64),
        np.concatenate([np.zeros(len(first)), sizes]).astype(np.int64),
    )


def _run(
    lm: LanguageModel, rows: list[_Document], plans: dict[str, list[list[Window]]], reporter: Reporter
) -> dict[tuple[int, int, int], NDArray[np.float64]]:
    """NLL in nats of all but the first token of each distinct window; both schemes share what they can."""
    spans = {(at, w.start, w.end) for plan in plans.values() for at, ws in enumerate(plan) for w in ws}
    order = sorted(spans, key=lambda span: (span[2] - span[1], span))
    limit = max(1, min(TOKENS, LOGITS // max(1, _vocabulary(lm.model))))
    out: dict[tuple[int, int, int], NDArray[np.float64]] = {}
    while order:
        reporter.progress(len(out), len(spans), "windows of text")
        longest = order[-1][2] - order[-1][1]  # from the longest down: too little memory shows at once
        count = min(len(order), max(1, limit // longest))
        part, order = order[-count:], order[:-count]
        out.update(zip(part, _batch_nll(lm, [rows[at].ids[a:b] for at, a, b in part]), strict=True))
    reporter.progress(len(out), len(spans), "windows of text")
    return out


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def _batch_nll(lm: LanguageModel, sequences: list[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
    """NLL in nats of every token but the first of each sequence."""
    import torch

    texts = [Encoded(tuple(ids.tolist()), 1) for ids in sequences]
    with torch.inference_mode():
        batch = collate(texts, lm.tokenizer, lm.device)
        ids = batch.ids[batch.response]
        nll = torch.nn.functional.cross_entropy(text_logits(lm, batch), ids, reduction="none")
    ends = np.cumsum([len(ids) - 1 for ids in sequences])[:-1]
    return np.split(nll.cpu().numpy().astype(np.float64), ends)


def _units(
    kind: str,
    rows: list[_Document],
    plan: list[list[Window]],
    nll: dict[tuple[int, int, int], NDArray[np.float64]],
    by_window: bool,
) -> pd.DataFrame:
    """Sums over the scored tokens of each document, or of each window."""
    sums = []
    for at, (document, spans) in enumerate(zip(rows, plan, strict=True)):
        for number, (start, end, scored) in enumerate(spans):
            values = nll[at, start, end][scored - start - 1 :]
            unit = number if by_window else at
            sums.append((unit, values.sum(), end - scored, document.bytes[scored:end].sum()))
    frame = pd.DataFrame(sums, columns=["unit", "nll", "tokens", "bytes"])
    frame = frame.groupby("unit", as_index=False).agg(
        nll=("nll", _plain_sum), tokens=("tokens", "sum"), bytes=("bytes", "sum")
    )
    frame.insert(1, "windows", kind)
    return frame


def _plain_sum(values: pd.Series) -> float:
    return float(values.to_numpy().sum())  # pandas' own sum would skip NaN and hide a broken document


def _measures(units: pd.DataFrame, window: int, steps: dict[str, int], joined: bool) -> dict[str, Measure]:
    what = "windows" if joined else "documents"
    tables = {kind: units[units["windows"] == kind] for kind in (DISJOINT, STRIDED)}

    def one(kind: str, per: str, unit: str, transform: Any) -> Measure:
        table = tables[kind]
        interval = bootstrap_ratio(table["nll"], table[per], transform)
        note = f"{int(table['tokens'].sum())} tokens; window {window}, stride {steps[kind]}; n = {what}"
        broken = "" if np.isfinite(interval.value) else f"{NOT_FINITE}; "
        return measure(interval, len(table), unit, broken + note)

    return {
        "perplexity": one(DISJOINT, "tokens", "per token", np.exp),
        "perplexity_strided": one(STRIDED, "tokens", "per token", np.exp),
        "bits_per_byte": one(STRIDED, "bytes", "bits per byte", lambda ratio: ratio / np.log(2)),
    }
