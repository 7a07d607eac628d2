"""Last-word accuracy and perplexity: the spec's case, a slow reference, and what is left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core.errors import BadInput
from core.evaluation.metrics.lambada import lambada_measures, measure_lambada, split_last_word
from core.lm.decoders import RAD

FILE = Path(__file__).resolve().parents[4].parent / "shared" / "data" / "lambada"
TEXTS = [
    "the lamp is lit by noon",
    "old bread rises by the lamp and the old bread rises by the lamp and the noon",
    "noon",
    "bread  is\tlit old ",
]


def items(logprob, greedy):
    return pd.DataFrame({"logprob": logprob, "tokens": 1, "greedy": greedy})


def test_f9_perplexity_is_per_word_of_summed_log_probabilities():
    measures = lambada_measures(items([-1.0, -2.0, -3.0], [True, False, False]), 3)
    perplexity, accuracy = measures["last_word_perplexity"], measures["last_word_accuracy"]
    assert perplexity.value == pytest.approx(7.389056, abs=1e-6)
    assert perplexity.low == pytest.approx(np.e) and perplexity.high == pytest.approx(np.exp(3))
    assert accuracy.value == pytest.approx(1 / 3) and accuracy.low < 1 / 3 < accuracy.high
    assert accuracy.n == perplexity.n == 3 and "left out" not in accuracy.note


def test_a_word_of_many_tokens_weighs_as_one_word():
    many = items([-1.0, -2.0, -3.0], True).assign(tokens=[1, 5, 9])
    assert lambada_measures(many, 3)["last_word_perplexity"].value == pytest.approx(np.exp(2))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("the old lamp", ("the old", " lamp")),
        (" the old\nlamp.\n", ("the", " old\nlamp.")),  # at spaces only, as the task does
        ("a  b", ("a ", " b")),
        ("lamp", None),
        ("  ", None),
        ("", None),
    ],
)
def test_the_last_word_is_what_follows_the_last_space(text, parts):
    assert split_last_word(text) == parts


def test_equals_a_slow_reference(lm):
    sums, hits = [], []
    for text in TEXTS:
        if (parts := split_last_word(text)) is None:
            continue
        head = lm.tokenizer(parts[0])["input_ids"]
        target = lm.tokenizer(parts[0] + parts[1])["input_ids"][len(head) :]
        seen = (head + target)[-(lm.context + 1) :]  # cut at the left
        with torch.no_grad():
            logits = lm.model(torch.tensor([seen[:-1]])).logits[0].double().log_softmax(-1)
        rows = range(len(seen) - len(target), len(seen))
        sums.append(sum(float(logits[t - 1, seen[t]]) for t in rows))
        hits.append(all(int(logits[t - 1].argmax()) == seen[t] for t in rows))
    result = measure_lambada(lm, TEXTS)
    assert result.items["item"].tolist() == [0, 1, 3]
    np.testing.assert_allclose(result.items["logprob"], sums, rtol=1e-5)
    assert result.measures["last_word_perplexity"].value == pytest.approx(np.exp(-np.mean(sums)), rel=1e-5)
    assert result.measures["last_word_accuracy"].value == pytest.approx(np.mean(hits))
    assert "1 of 4 texts left out" in result.measures["last_word_accuracy"].note


def test_the_models_own_words_are_all_right(lm):
    start = lm.tokenizer("the lamp is")["input_ids"]
    with torch.no_grad():
        best = int(lm.model(torch.tensor([start])).logits[0, -1].argmax())
    result = measure_lambada(lm, ["the lamp is noon"])
    assert result.measures["last_word_accuracy"].value in (0.0, 1.0)
    assert bool(result.items["greedy"][0]) == (lm.tokenizer.decode([best]) == " noon")


def test_a_uniform_model_knows_no_word_better_than_another(lm, uniform):
    result = measure_lambada(uniform, ["the lamp is lit by the", "old the"])
    assert result.items["tokens"].tolist() == [1, 1]
    assert result.measures["last_word_perplexity"].value == pytest.approx(lm.model.config.vocab_size)


def test_a_broken_model_has_no_numbers_instead_of_bad_ones():
    measures = lambada_measures(items([-1.0, np.nan], [True, False]), 2)
    assert all(m.value is None and "not finite" in m.note for m in measures.values())


def test_texts_of_one_word_each_are_an_error_in_words(lm):
    with pytest.raises(BadInput, match="none has two words"):
        measure_lambada(lm, ["noon", ""])


def test_a_decoder_without_text_probabilities_gives_no_value_and_says_why(lm):
    result = measure_lambada(replace(lm, decoder=RAD(10.0, 5, True)), TEXTS)
    assert all(m.value is None and "decoder" in m.note for m in result.measures.values())
    assert len(result.items) == 0


def test_every_real_item_has_a_last_word(lm):
    if not FILE.is_dir():
        pytest.skip("the LAMBADA test set is not beside this checkout")
    frame = pd.read_parquet(next(FILE.glob("*.parquet")))
    texts = [str(text) for text in frame[frame.columns[-1] if "text" not in frame else "text"]]
    parts = [split_last_word(text) for text in texts]
    assert len(parts) > 2000 and None not in parts
    assert all(a + b == text.strip() for text, (a, b) in zip(texts, parts, strict=True))
    result = measure_lambada(lm, texts[:20])
    assert len(result.items) == 20 and result.items["logprob"].lt(0).all()
