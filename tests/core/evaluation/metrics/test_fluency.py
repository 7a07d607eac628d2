"""Fluency: pooled over tokens, hopeless continuations dropped and counted, prompts resampled whole."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from core.errors import BadInput
from core.evaluation.metrics.fluency import fluency, fluency_measure
from core.lm.decoders import RAD

PROMPTS = ["the lamp", "old bread"]
MADE = [[" is lit", "", " by noon and the noon"], ["s rise", "  "]]


def table(rows):
    return pd.DataFrame(rows, columns=["prompt", "nll", "tokens"])


def test_surprise_is_summed_before_it_is_divided():
    measure = fluency_measure(table([(0, 4.0, 2), (0, 3.0, 6), (1, 1.0, 2)]))
    assert measure.value == pytest.approx(np.exp(8 / 10))
    assert measure.n == 2 and measure.low == pytest.approx(np.exp(0.5))
    assert measure.high == pytest.approx(np.exp(7 / 8))


def test_above_ten_thousand_is_dropped_and_counted_and_ten_thousand_is_not():
    at, above = 3 * np.log(1e4), 3 * np.log(1e4) + 1e-6
    rows = [(0, 2.0, 2), (0, at, 3), (1, above, 3), (2, np.nan, 4), (2, np.nan, 0)]
    measure = fluency_measure(table(rows), "judge")
    assert measure.value == pytest.approx(np.exp((2.0 + at) / 5)) and measure.n == 1
    assert "1 of 3 continuations above 10,000 dropped" in measure.note and "1 not finite" in measure.note
    assert "under judge" in measure.note


def test_no_usable_continuation_gives_no_number():
    assert fluency_measure(table([(0, np.nan, 0)])).value is None


def test_equals_one_forward_pass_per_continuation(lm):
    measure, each = fluency(lm, PROMPTS, MADE)
    assert each["tokens"].tolist()[1] == 0 and each["tokens"].tolist()[4] == 0, "empty ones are no text"
    total, count = 0.0, 0
    for prompt, texts in zip(PROMPTS, MADE, strict=True):
        for text in filter(str.strip, texts):
            head = lm.tokenizer(prompt)["input_ids"]
            ids = lm.tokenizer(prompt + text)["input_ids"]
            with torch.no_grad():
                logp = lm.model(torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
            total -= sum(float(logp[t - 1, ids[t]]) for t in range(len(head), len(ids)))
            count += len(ids) - len(head)
    assert measure.value == pytest.approx(np.exp(total / count), rel=1e-5)
    assert each["tokens"].sum() == count


def test_a_uniform_judge_finds_everything_as_likely_as_its_vocabulary_is_large(lm, uniform):
    measure, _ = fluency(uniform, PROMPTS, MADE)
    assert measure.value == pytest.approx(lm.model.config.vocab_size, rel=1e-6)


def test_a_judge_that_steers_itself_cannot_judge(lm):
    with pytest.raises(BadInput, match="plain language model"):
        fluency(replace(lm, decoder=RAD(10.0, 5, True)), PROMPTS, MADE)
