"""Perplexity against a token-by-token reference, and the window bookkeeping of the spec."""

from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from core.errors import BadInput
from core.evaluation.metrics import perplexity
from core.evaluation.metrics.perplexity import measure_text, windows
from core.lm.decoders import RAD

DOCUMENTS = [
    "the lamp is lit",
    "old bread rises by the lamp and the noon is long, by the old lamp",
    "bread",
    "caf\u00e9 \u2603 by  noon \n",
]


def by_token(lm, ids, start, scored_from, scored_to):
    """NLL of single tokens, each from its own forward pass over start..t-1."""
    total = 0.0
    for t in range(scored_from, scored_to):
        logits = lm.model(torch.tensor([ids[start:t]])).logits[0, -1].double()
        total -= float(logits.log_softmax(0)[ids[t]])
    return total


def test_windows_of_f9():
    assert [w.end - w.scored for w in windows(10, 4, 4)] == [3, 3, 1]
    assert [w.end - w.scored for w in windows(10, 4, 2)] == [3, 2, 2, 2]
    assert [(w.start, w.end) for w in windows(10, 4, 2)] == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert windows(1, 4, 2) == windows(0, 4, 4) == []
    assert [w.end - w.scored for w in windows(9, 4, 4)] == [3, 3]  # a last window of one token scores nothing


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("length", range(2, 23))
def test_no_position_is_scored_twice_and_overlapping_windows_miss_the_first_only(length, stride):
    scored = [t for w in windows(length, 4, stride) for t in range(w.scored, w.end)]
    assert scored == sorted(set(scored))
    missing = set(range(length)) - set(scored)
    assert missing == ({0} if stride < 4 else set(range(0, length, 4)))


@pytest.mark.parametrize("joined", [False, True])
def test_equals_the_token_by_token_reference(lm, joined):
    result = measure_text(lm, DOCUMENTS, joined=joined, window=8, stride=3)
    texts = ["\n\n".join(DOCUMENTS)] if joined else DOCUMENTS
    sums = {"disjoint": [0.0, 0], "strided": [0.0, 0]}
    with torch.no_grad():
        for text in texts:
            ids = ([] if joined else [0]) + lm.tokenizer(text)["input_ids"]
            for kind, stride in (("disjoint", 8), ("strided", 3)):
                for start, end, scored in windows(len(ids), 8, stride):
                    sums[kind][0] += by_token(lm, ids, start, scored, end)
                    sums[kind][1] += end - scored
    expected = {kind: np.exp(nll / tokens) for kind, (nll, tokens) in sums.items()}
    assert result.measures["perplexity"].value == pytest.approx(expected["disjoint"], rel=1e-5)
    assert result.measures["perplexity_strided"].value == pytest.approx(expected["strided"], rel=1e-5)
    totals = result.units.groupby("windows")["tokens"].sum()
    assert totals.to_dict() == {kind: tokens for kind, (_, tokens) in sums.items()}
    assert expected["disjoint"] != pytest.approx(expected["strided"], rel=1e-3)


def test_bits_per_byte_counts_every_byte_of_a_document(lm):
    result = measure_text(lm, DOCUMENTS, window=8, stride=3)
    strided = result.units[result.units["windows"] == "strided"]
    assert strided["bytes"].tolist() == [len(d.encode()) for d in DOCUMENTS]
    expected = strided["nll"].sum() / (np.log(2) * strided["bytes"].sum())
    assert result.measures["bits_per_byte"].value == pytest.approx(expected)


def test_bytes_of_joined_text_are_all_but_those_of_its_first_token(lm):
    result = measure_text(lm, DOCUMENTS, joined=True, window=8, stride=3)
    text = "\n\n".join(DOCUMENTS)
    first = lm.tokenizer.decode(lm.tokenizer(text)["input_ids"][:1])
    strided = result.units[result.units["windows"] == "strided"]
    assert strided["bytes"].sum() == len(text.encode()) - len(first.encode())


def test_bytes_that_no_token_spells_belong_to_the_next_one_or_at_the_end_to_the_last(lm):
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<end>": 0, "[UNK]": 1}, unk_token="[UNK]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", unk_token="[UNK]")
    document = perplexity._tokenise(replace(lm, tokenizer=words), "caf\u00e9  noon \n", start=True)
    assert document.ids.tolist() == [0, 1, 1]
    assert document.bytes.tolist() == [0, 5, 8]


def test_f9_bits_per_byte_of_given_sums(lm, monkeypatch):
    monkeypatch.setattr(perplexity, "_batch_nll", lambda lm, parts: [np.full(len(p) - 1, 3.0) for p in parts])
    tokenised = perplexity._Document(np.zeros(11, np.int64), np.array([0, *[5] * 10]))
    monkeypatch.setattr(perplexity, "_tokenise", lambda lm, text, start: tokenised)
    assert measure_text(lm, ["x"]).measures["bits_per_byte"].value == pytest.approx(0.865617, abs=1e-6)


def test_the_unit_of_the_interval_is_the_document(lm):
    measures = measure_text(lm, DOCUMENTS * 3, window=8).measures
    assert {m.n for m in measures.values()} == {12}
    assert all(m.low < m.value < m.high and m.unit for m in measures.values())
    alone = measure_text(lm, DOCUMENTS[:1]).measures["perplexity"]
    assert alone.value is not None and alone.low is None and alone.high is None


def test_batching_changes_nothing(lm, monkeypatch):
    together = measure_text(lm, DOCUMENTS, window=8, stride=3).units
    monkeypatch.setattr(perplexity, "TOKENS", 1)
    one_by_one = measure_text(lm, DOCUMENTS, window=8, stride=3).units
    np.testing.assert_allclose(together["nll"], one_by_one["nll"], rtol=1e-5)


def test_windows_shared_by_both_schemes_run_once(lm, monkeypatch):
    ran = []
    inner = perplexity._batch_nll
    monkeypatch.setattr(perplexity, "_batch_nll", lambda lm, parts: ran.extend(parts) or inner(lm, parts))
    measure_text(lm, ["bread", "lamp", "noon"])
    assert len(ran) == 3


def test_a_diverged_model_gives_no_value_and_says_so(lm):
    broken = torch.nn.Linear(16, lm.model.config.vocab_size, bias=False)
    torch.nn.init.constant_(broken.weight, float("nan"))
    model = type(lm.model)(lm.model.config).eval()
    model.lm_head = broken
    measures = measure_text(replace(lm, model=model), DOCUMENTS).measures
    assert all(m.value is None and m.low is None and "not finite" in m.note for m in measures.values())


def test_one_broken_document_is_not_hidden_by_the_others(lm, monkeypatch):
    inner = perplexity._batch_nll
    monkeypatch.setattr(
        perplexity,
        "_batch_nll",
        lambda lm, parts: [n * (np.nan if len(n) < 3 else 1) for n in inner(lm, parts)],
    )
    assert measure_text(lm, DOCUMENTS).measures["perplexity"].value is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"documents": []}, "holds no text"),
        ({"documents": ["", ""]}, "holds no text"),
        ({"documents": ["bread"], "window": 17}, "2 to 16"),
        ({"documents": ["bread"], "window": 4, "stride": 5}, "1 to 4"),
        ({"documents": ["a"], "joined": True}, "two tokens"),
    ],
)
def test_what_cannot_be_measured_is_said_in_words(lm, arguments, says):
    with pytest.raises(BadInput, match=says):
        measure_text(lm, **arguments)


def test_a_uniform_model_is_as_perplexed_as_its_vocabulary_is_large(uniform):
    measures = measure_text(uniform, DOCUMENTS).measures
    for name in ("perplexity", "perplexity_strided"):
        assert measures[name].value == pytest.approx(uniform.model.config.vocab_size, rel=1e-6)


def test_f9_windows_weigh_by_the_tokens_that_were_scored(lm, monkeypatch):
    """Two segments, 1,023 tokens of 2 nats and 511 of 3: neither 1,024 to 512, nor the mean of both."""
    monkeypatch.setattr(
        perplexity,
        "_batch_nll",
        lambda lm, parts: [np.full(len(p) - 1, 2.0 + (len(p) < 1024)) for p in parts],
    )
    text = perplexity._Document(np.zeros(1024 + 512, np.int64), np.ones(1024 + 512, np.int64))
    monkeypatch.setattr(perplexity, "_tokenise", lambda lm, _, start: text)
    measure = measure_text(replace(lm, context=1024), ["x"], joined=True).measures["perplexity"]
    assert measure.value == pytest.approx(10.310018, abs=1e-6)


def test_a_decoder_without_text_probabilities_gives_no_value_and_says_why(lm):
    result = measure_text(replace(lm, decoder=RAD(10.0, 5, True)), DOCUMENTS)
    assert set(result.measures) == set(measure_text(lm, DOCUMENTS).measures)
    assert all(m.value is None and "decoder" in m.note for m in result.measures.values())
    assert len(result.units) == 0


def test_an_empty_document_among_others_counts_for_nothing(lm):
    with_empty = measure_text(lm, [*DOCUMENTS, ""]).measures["perplexity"]
    assert with_empty == measure_text(lm, DOCUMENTS).measures["perplexity"]
