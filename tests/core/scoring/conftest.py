"""Small pools for scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import pytest

from core.values import Pool


@pytest.fixture
def pool_of() -> Callable[[Sequence[tuple[str, str, str]]], Pool]:
    """A pool of (prompt, response, rejected) rows."""

    def make(rows: Sequence[tuple[str, str, str]]) -> Pool:
        frame = pd.DataFrame(rows, columns=["prompt", "response", "rejected"])
        return Pool("test", frame.assign(id=[str(i) for i in range(len(rows))]), "fingerprint", "split")

    return make
