"""Numbers made part by part: with progress, and resumable after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.scoring.base import Tools
from core.values import Reporter
from core.workspace.partial import Partial

CHUNK = 64  # texts given to the scorer at once: one batch of its own, so that a stop is heard between two


def stream(
    n: int,
    batch: int,
    compute: Callable[[range], NDArray[np.float64]],
    tools: Tools,
    reporter: Reporter,
    what: str,
) -> NDArray[np.float64]:
    """(n,) what `compute` gives for 0..n-1, `batch` of them at a time; goes on in the scratch folder."""
    with Partial(tools.scratch, tools.key, (n,), np.float64) as work:
        if 0 < work.done < n:
            reporter.progress(work.done, n, what)
        while work.done < n:
            work.advance(compute(range(work.done, min(work.done + batch, n))))
            reporter.progress(work.done, n, what)
    return work.values


def toxicities(texts: Sequence[str], tools: Tools, reporter: Reporter) -> NDArray[np.float64]:
    """(n,) the scorer's class "toxicity" of each text; distinct texts once, longest first; NaN for blank."""
    scorer = tools.scorer
    assert scorer is not None  # in `needs`, checked by score()
    distinct = sorted({text for text in texts if text.strip()}, key=lambda text: (-len(text), text))

    def compute(part: range) -> NDArray[np.float64]:
        return np.asarray(scorer.toxicity(distinct[part.start : part.stop]), dtype=np.float64)

    found = stream(len(distinct), CHUNK, compute, tools, reporter, "texts scored")
    value = dict(zip(distinct, found.tolist(), strict=True))
    return np.array([value.get(text, np.nan) for text in texts], dtype=np.float64)
