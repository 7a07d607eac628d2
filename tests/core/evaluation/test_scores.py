"""Scores by text: asked once, remembered for good, the same numbers with and without the memory."""

import numpy as np
import pytest

from core.errors import Stopped
from core.evaluation import scores as module
from core.evaluation.metrics.toxicity import score_texts
from core.evaluation.scores import label_scores, text_hash
from core.values import Silent
from core.workspace import Memo

TEXTS = ["a long foul day", "", "fine", "foul", "  \n", "fine", "caf\u00e9 \ud800"]


class Scorer:
    """Two labels of float32 without a short decimal form; remembers what it was asked."""

    name, hash, labels = "test", "1", ("insult", "toxicity")

    def __init__(self):
        self.asked = []

    def score(self, texts, reporter=None, batch=64):
        self.asked += texts
        share = np.array([t.count("o") / len(t) for t in texts], np.float32) / np.float32(3)
        if reporter is not None:
            reporter.progress(len(texts), len(texts), "texts scored")
        return np.column_stack([1 - share, share])

    def toxicity(self, texts, reporter=None):
        return self.score(texts)[:, 1]


@pytest.fixture
def memo(tmp_path):
    return Memo(tmp_path / "scores.sqlite")


def test_the_same_bits_without_a_memo_with_a_cold_one_and_with_a_warm_one(memo):
    plain = label_scores(TEXTS, Scorer())
    assert plain.shape == (7, 2) and plain.dtype == np.float64
    assert np.isnan(plain[[1, 4]]).all() and np.isfinite(plain[[0, 2, 3, 5, 6]]).all()
    assert plain[3, 1] == np.float64(np.float32(0.25) / np.float32(3))
    cold, warm = (label_scores(TEXTS, Scorer(), memo=memo) for _ in range(2))
    assert plain.tobytes() == cold.tobytes() == warm.tobytes()


def test_a_text_is_asked_once_ever(memo):
    first, again = Scorer(), Scorer()
    label_scores(TEXTS, first, memo=memo)
    assert sorted(first.asked) == sorted({t for t in TEXTS if t.strip()})
    label_scores([*TEXTS, "new"], again, memo=memo)
    assert again.asked == ["new"]


def test_toxicity_and_the_worst_label_share_what_is_known(memo):
    scorer = Scorer()
    toxic = score_texts(TEXTS, scorer, "toxicity", memo=memo)
    known = len(scorer.asked)
    worst = score_texts(TEXTS, scorer, "max_of_labels", memo=memo)
    assert len(scorer.asked) == known
    np.testing.assert_array_equal(worst, label_scores(TEXTS, Scorer()).max(axis=1))
    np.testing.assert_array_equal(toxic, label_scores(TEXTS, Scorer())[:, 1])


def test_what_the_scorer_could_not_say_is_asked_again(memo):
    class Broken(Scorer):
        def score(self, texts, reporter=None, batch=64):
            return np.where(super().score(texts) > 0.9, np.nan, 0.5)

    got = label_scores(["fine", "foul oo"], Broken(), memo=memo)
    assert np.isnan(got[0, 0]) and got[1, 0] == 0.5
    scorer = Scorer()
    label_scores(["fine", "foul oo"], scorer, memo=memo)
    assert scorer.asked == ["fine"]


def test_rows_of_another_number_of_labels_are_not_believed(memo):
    memo.put([text_hash("fine")], [[0.1, 0.2, 0.3]])
    assert label_scores(["fine"], Scorer(), memo=memo)[0, 1] == 0.0


def test_a_kill_loses_one_part_at_most(memo, monkeypatch):
    monkeypatch.setattr(module, "PART", 2)

    class Killed(Scorer):
        def score(self, texts, reporter=None, batch=64):
            if len(self.asked) >= 4:
                raise Stopped("killed")
            return super().score(texts)

    texts = [f"text {'o' * i}" for i in range(7)]
    with pytest.raises(Stopped):
        label_scores(texts, Killed(), memo=memo)
    scorer = Scorer()
    whole = label_scores(texts, scorer, memo=memo)
    assert len(scorer.asked) == 3
    assert whole.tobytes() == label_scores(texts, Scorer()).tobytes()


def test_progress_is_that_of_the_whole(monkeypatch):
    monkeypatch.setattr(module, "PART", 2)
    seen = []

    class Counting(Silent):
        def progress(self, done, total, what):
            seen.append((done, total))

    label_scores(["a", "b", "c"], Scorer(), Counting())
    assert seen == [(2, 3), (3, 3)]


def test_a_broken_memo_changes_no_number(tmp_path):
    (tmp_path / "bad.sqlite").write_bytes(b"no database" * 100)
    plain = label_scores(TEXTS, Scorer())
    assert label_scores(TEXTS, Scorer(), memo=Memo(tmp_path / "bad.sqlite")).tobytes() == plain.tobytes()


def test_no_texts_have_no_scores():
    assert label_scores([], Scorer()).shape == (0, 2)
    assert np.isnan(label_scores([" "], Scorer())).all()
