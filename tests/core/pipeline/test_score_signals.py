"""Scores as signals: what decides them is in their key, and a stopped one goes on where it was."""

import numpy as np
import pytest

from core import pipeline
from core.errors import Stopped
from core.values import Silent


class Watching(Silent):
    def __init__(self, limit=np.inf):
        self.limit = limit
        self.seen = []

    def progress(self, done, total, what):
        self.seen.append(done)
        if done >= self.limit:
            raise Stopped("stopped")


def test_a_stopped_score_goes_on_where_it_was_and_leaves_no_half_done_work(demo):
    request = pipeline.request_for("score:loss", "demo-clean")
    with pytest.raises(Stopped):
        pipeline.make_signal(demo, request, Watching(160))
    rest = Watching()
    made = pipeline.make_signal(demo, request, rest)
    assert rest.seen[0] == 160 and np.isfinite(made.array()).all()
    assert [p.name for p in made.folder.parent.iterdir()] == [made.folder.name]


def test_a_token_count_is_the_models_and_is_named_by_it(demo):
    request = pipeline.request_for("score:tokens", "demo-clean")
    made = pipeline.make_signal(demo, request)
    assert made.key.model and made.facts["model"] == "demo"
    assert (np.asarray(made.array()) > 0).all()
