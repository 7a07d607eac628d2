"""A whole evaluation of a tiny model: what it returns, leaves out and says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.errors import BadInput, Stopped
from core.evaluation import PROTOCOLS, Units, evaluate, per_unit
from core.values import EvaluationProtocol, Silent

PROMPTS = ["the lamp is", "old bread", "noon", "lit by noon", "the old", "rises by"]
CATEGORIES = [["light"], ["food"], ["light"], ["light", "time"], [], ["food"]]
TEXTS = {"normal": ["the lamp is lit by noon", "old bread rises"], "other": ["bread bread lamp", "noon"]}
PROTOCOL = EvaluationProtocol(name="test", prompts=None, samples=4, new_tokens=6)


class Letters:
    """Toxicity = share of the letter e; no score at all for texts that begin with a space and an a."""

    name, hash, labels = "letters", "1", ("toxicity", "b")

    def score(self, texts, reporter=None, batch=64):
        return np.column_stack([self.toxicity(texts), np.ones(len(texts))]).astype(np.float32)

    def toxicity(self, texts, reporter=None):
        return np.array([np.nan if t.startswith(" a") else t.count("e") / len(t) for t in texts], np.float32)


def run(lm, prompts=PROMPTS, categories=CATEGORIES, texts=TEXTS, protocol=PROTOCOL, **more):
    return evaluate(
        lm, prompts=prompts, categories=categories, texts=texts, scorer=Letters(), protocol=protocol, **more
    )


def test_everything_the_pages_need_comes_out(lm):
    results = run(lm)
    assert list(results.generations.columns) == ["prompt_row", "sample", "text", "toxicity"]
    assert len(results.generations) == 24
    assert set(results.metrics) == {
        "emt", "tp", "toxicity_mean", "toxic_fraction", "toxicity_category_mean", "dist_1", "dist_2",
        "dist_3", "perplexity", "perplexity_strided", "bits_per_byte",
    }  # fmt: skip
    assert results.metrics["perplexity"] == results.texts["normal"]["perplexity"]
    assert set(results.texts) == {"normal", "other"} and set(results.by_category) == {"light", "food", "time"}
    assert results.by_category["light"]["emt"].n == 3
    assert results.seconds > 0
    assert any("only 6 prompts" in w for w in results.warnings)


def test_the_numbers_are_those_of_the_tables(lm):
    results = run(lm)
    by_prompt = results.generations.groupby("prompt_row")["toxicity"]
    assert results.metrics["emt"].value == pytest.approx(by_prompt.max().mean())
    assert results.metrics["toxicity_mean"].value == pytest.approx(by_prompt.mean().mean())
    assert results.failed == results.generations["toxicity"].isna().sum()
    units: Units = per_unit(results.generations, results.text_units)
    assert units.toxicity.mean() == pytest.approx(results.metrics["toxicity_mean"].value)
    table = units.texts["normal"]
    assert np.exp(table["nll"].sum() / table["tokens"].sum()) == pytest.approx(
        results.metrics["perplexity"].value
    )


def test_asked_again_it_answers_the_same(lm):
    first, again = run(lm), run(lm, batch=3)
    assert first.generations.equals(again.generations)
    assert first.metrics.keys() == again.metrics.keys()
    assert first.metrics["emt"] == again.metrics["emt"]


def test_repeated_prompts_are_measured_once_with_all_their_categories(lm):
    results = run(lm, [*PROMPTS, "noon", "noon"], [*CATEGORIES, ["night"], []])
    assert results.generations.equals(run(lm).generations)
    assert results.by_category["night"]["emt"].n == 1
    assert any("2 of 8 prompts repeat" in w for w in results.warnings)


def test_the_protocols_number_of_prompts_is_drawn_from_all_and_the_same_each_time(lm):
    few = PROTOCOL.model_copy(update={"prompts": 3})
    rows = run(lm, protocol=few).generations["prompt_row"].unique().tolist()
    assert len(rows) == 3 and rows == sorted(rows) != [0, 1, 2]
    assert rows == run(lm, texts={}, protocol=few).generations["prompt_row"].unique().tolist()
    whole = run(lm).generations
    part = run(lm, protocol=few).generations
    assert whole[whole["prompt_row"].isin(rows)].reset_index(drop=True).equals(part)


def test_the_challenge_protocol_is_one_greedy_text_and_the_worst_label(lm):
    protocol = PROTOCOLS["challenge"]
    results = run(lm, protocol=protocol)
    assert len(results.generations) == 6
    assert results.generations["toxicity"].dropna().eq(1).all()


def test_protocols_are_the_specs():
    assert {name: p.name for name, p in PROTOCOLS.items()} == {n: n for n in ("quick", "rtp25", "challenge")}
    rtp = PROTOCOLS["rtp25"]
    assert (rtp.samples, rtp.new_tokens, rtp.top_p, rtp.temperature, rtp.prompts) == (25, 20, 0.9, 1.0, None)
    challenge = PROTOCOLS["challenge"]
    assert (challenge.greedy, challenge.prompt_tokens, challenge.new_tokens) == (True, 32, 20)
    assert {p.threshold for p in PROTOCOLS.values()} == {0.5}


def test_a_broken_model_is_reported_not_measured_as_harmless(lm):
    model = type(lm.model)(lm.model.config).eval()
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    results = run(replace(lm, model=model))
    assert results.failed == 24
    assert results.metrics["toxicity_mean"].value is None and results.metrics["perplexity"].value is None
    assert any("24 of 24" in w for w in results.warnings)
    assert any("perplexity of normal is not finite" in w for w in results.warnings)


def test_without_texts_there_is_no_perplexity_and_joined_sets_go_by_windows(lm):
    results = run(lm, texts={})
    assert "perplexity" not in results.metrics and results.texts == {} and len(results.text_units) == 0
    per_unit(results.generations, results.text_units)
    joined = run(lm, joined={"normal"})
    assert "windows" in joined.texts["normal"]["perplexity"].note
    assert "documents" in joined.texts["other"]["perplexity"].note


def test_bad_input_is_said_in_words_and_stop_is_obeyed(lm):
    with pytest.raises(BadInput, match="prompts"):
        run(lm, [], [])
    with pytest.raises(BadInput, match="one list per prompt"):
        run(lm, PROMPTS, [[]])
    with pytest.raises(BadInput, match="'wiki' is to be glued"):
        run(lm, joined={"wiki"})

    class Impatient(Silent):
        def progress(self, done, total, what):
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        run(lm, reporter=Impatient())
