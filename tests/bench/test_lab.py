"""Claims about the lab's split of real text, and about its own arithmetic."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench.lab import auc
from bench.lab_data import CLASSES, HELD_OUT, data_key, held_out, normal, read_lab_data
from core.errors import MissingInput

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the public data sets are not at {DATA}")


@pytest.fixture(scope="module")
def lab():
    return read_lab_data(DATA)


def test_the_side_of_a_group_depends_on_nothing_but_its_normal_text():
    assert normal("RT @someone: The  Kettle, https://x.y/z sings!") == "the kettle sings"
    assert all(held_out(f"group {i}", "rtp") == held_out(f"Group  {i}!", "rtp") for i in range(100))
    share = np.mean([held_out(f"group {i}", "rtp") for i in range(4000)])
    assert share == pytest.approx(HELD_OUT["rtp"], abs=0.03)


@needs_data
def test_nothing_that_is_measured_on_was_trained_on(lab):
    trained = {normal(t) for t in (*lab.documents, *lab.labelled.texts)}
    measured = {normal(t) for texts in lab.held_documents.values() for t in texts}
    measured |= {normal(t) for part in lab.held_labelled.values() for t in part.texts}
    measured |= {normal(t) for t in (*lab.prompts["prompt"], *lab.articles["response"])}
    assert not measured & trained
    everything = "\n".join(normal(t) for t in lab.documents)
    assert not [
        p for p in lab.prompts["prompt"][:100] if normal(p) in everything
    ]  # nor quoted in a longer one


@needs_data
def test_no_repair_pair_holds_a_measured_text(lab):
    sides = {normal(t) for column in ("chosen", "rejected") for t in lab.pairs[column]}
    assert not sides & {normal(p) for p in lab.prompts["prompt"]}
    whole = {normal(t) for t in lab.held_labelled["paradetox"].texts}
    assert not whole & {normal(t) for t in lab.pairs["rejected"]}


@needs_data
def test_only_the_source_that_knows_more_than_toxicity_teaches_more(lab):
    assert lab.labelled.labels.shape == (len(lab.labelled.texts), len(CLASSES))
    assert not np.isnan(lab.labelled.labels[:, 0]).any()
    assert np.isnan(lab.held_labelled["davidson"].labels[:, 1:]).all()
    assert not np.isnan(lab.held_labelled["rtp"].labels).any()


@needs_data
def test_wikitext_comes_as_whole_articles(lab):
    assert lab.articles["response"].str.match(r"= [^=]").all()
    assert lab.articles["response"].str.contains("\n\n= = ").mean() > 0.9
    assert lab.articles["response"].str.count(r"(?m)^= [^=]+ =$").max() == 1


def test_missing_data_is_a_sentence(tmp_path):
    with pytest.raises(MissingInput, match="--data"):
        data_key(tmp_path)


def test_auc_is_the_chance_of_the_right_order_ties_counting_half():
    values, positive = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])
    area, low, high = auc(values, positive)
    assert area == pytest.approx(3.5 / 4)
    assert 0 <= low < area < high <= 1
    rng = np.random.default_rng(0)
    noise, truth = rng.random(500), rng.random(500) < 0.3
    assert auc(noise, truth)[0] == pytest.approx(roc_auc_score(truth, noise))
