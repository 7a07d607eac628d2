"""Judges: any text classifier's own probabilities, opened safely, with the class that means harm."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers

from core.errors import BadInput, BadModel
from core.scorers import load_judge, scorer_hash, split_judge
from core.scorers.classifier import open_classifier

WORDS = ["you", "are", "a", "rotten", "old", "kettle", "the", "fox", "sings", "kindly"]
TEXTS = ["you are a rotten kettle", "the fox sings", "kindly", "the old fox " * 20, "", "the fox sings"]


def make(folder, labels, **config):
    """A tiny random BERT classifier, with wide weights so that every text has a score of its own."""
    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)
    settings = transformers.BertConfig(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24, initializer_range=0.5,
        id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)}, **config,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertForSequenceClassification(settings).save_pretrained(folder)
    return folder


@pytest.fixture
def two(tmp_path):
    return make(tmp_path / "two", ["SAFE", "UNSAFE"])


def by_pipeline(folder, text):
    """What transformers' own pipeline says of one text, by label."""
    classify = transformers.pipeline("text-classification", str(folder), top_k=None, device="cpu")
    return {e["label"].lower(): e["score"] for e in classify([text], truncation=True, max_length=24)[0]}


@pytest.mark.parametrize(
    ("labels", "config"),
    [
        (["SAFE", "UNSAFE"], {}),
        (["harm"], {}),
        (["hate", "calm", "threat"], {"problem_type": "multi_label_classification"}),
        (["hate", "calm", "threat"], {"problem_type": "single_label_classification"}),
    ],
)
def test_probabilities_are_those_of_the_transformers_pipeline(tmp_path, labels, config):
    folder = make(tmp_path / "c", labels, **config)
    scorer = open_classifier(folder, "c", "h", "cpu")
    assert scorer.labels == tuple(name.lower() for name in labels)
    for batch in (1, 4, 64):
        scores = scorer.score(TEXTS, batch=batch)
        assert scores.shape == (6, len(labels)) and scores.dtype == np.float32
        for text, row in zip(TEXTS[:4], scores, strict=False):
            expected = by_pipeline(folder, text)
            assert row == pytest.approx([expected[name] for name in scorer.labels], abs=1e-5)
    assert scores[:, 0].std() > 0.005
    assert scorer.score([]).shape == (0, len(labels))


def test_a_judge_is_one_class_of_it(two):
    judge = load_judge(str(two))
    assert (judge.label, judge.column, judge.name) == ("unsafe", 1, "two:unsafe")
    assert judge.hash == scorer_hash(str(two))
    other = load_judge(str(two), "Safe", name="mine")
    assert (other.column, other.name) == (0, "mine:safe")


def test_a_class_must_be_named_where_none_is_known_to_mean_harm(tmp_path):
    folder = make(tmp_path / "c", ["LABEL_0", "LABEL_1"])
    with pytest.raises(BadInput, match="which class means harm; its classes are label_0, label_1: write"):
        load_judge(str(folder))
    assert load_judge(str(folder), "label_1").column == 1
    with pytest.raises(BadInput, match="has no class 'harm'"):
        load_judge(str(folder), "harm")
    assert load_judge(str(make(tmp_path / "one", ["LABEL_0"]))).column == 0


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("demo", ("demo", "")),
        ("demo:insult", ("demo", "insult")),
        ("/models/x:harm", ("/models/x", "harm")),
        ("/mo:dels/x", ("/mo:dels/x", "")),
        (":x", (":x", "")),
    ],
)
def test_a_judge_is_named_with_its_class(text, parts):
    assert split_judge(text) == parts


def test_a_scorer_folder_is_a_judge_too(two):
    """With classes.json the folder is opened as detoxify would: by independent sigmoids."""
    (two / "classes.json").write_text(json.dumps({"name": "tiny", "classes": ["toxicity", "insult"]}))
    judge = load_judge(str(two))
    assert (judge.name, judge.column) == ("tiny:toxicity", 0)
    assert load_judge(str(two), "insult").column == 1
    scores = judge.scorer.score(TEXTS[:2])
    assert not np.allclose(scores.sum(axis=1), 1, atol=1e-3)


def test_a_decoder_model_without_a_padding_token_judges_text_by_text(tmp_path, tiny_folder):
    folder = tmp_path / "gpt"
    config = transformers.GPT2Config(
        n_layer=1, n_embd=8, n_head=2, n_positions=64, vocab_size=257, num_labels=2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.GPT2ForSequenceClassification(config).save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder())
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    scorer = open_classifier(folder, "gpt", "h", "cpu")
    together = scorer.score(TEXTS[:4])
    alone = np.vstack([scorer.score([text]) for text in TEXTS[:4]])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_pickled_weights_are_never_opened(two):
    weights = two / "model.safetensors"
    torch.save({"x": torch.zeros(1)}, two / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(BadModel, match="pickled ones are never opened"):
        load_judge(str(two))


def test_code_that_comes_with_a_model_is_never_run(two, tmp_path):
    config = json.loads((two / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModelForSequenceClassification": "own.Own"}}
    config["auto_map"]["AutoConfig"] = "own.Config"
    (two / "config.json").write_text(json.dumps(config))
    (two / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(BadModel, match="cannot be opened"):
        load_judge(str(two))
    assert not (tmp_path / "ran").exists()


def test_a_model_that_was_never_trained_to_classify_is_refused(two):
    from safetensors.torch import load_file, save_file

    weights = load_file(two / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "classifier" not in k}, two / "model.safetensors",
              {"format": "pt"})  # fmt: skip
    with pytest.raises(BadModel, match=r"classifier\.bias"):
        load_judge(str(two))


def test_an_amount_is_no_probability(tmp_path):
    with pytest.raises(BadModel, match="no probability"):
        load_judge(str(make(tmp_path / "r", ["harm"], problem_type="regression")))


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_is_not_whole_is_a_sentence(two, lost):
    (two / lost).unlink()
    if lost == "tokenizer.json":
        for left in two.glob("*token*"):
            left.unlink()
    with pytest.raises(BadModel, match="two"):
        load_judge(str(two))


def test_what_is_not_there_names_what_there_is(tmp_path):
    with pytest.raises(BadModel, match="unbiased"):
        load_judge(str(tmp_path / "nothing"))


def test_the_shipped_copy_is_untouched(two, tmp_path):
    before = scorer_hash(str(shutil.copytree(two, tmp_path / "copy")))
    load_judge(str(tmp_path / "copy"))
    assert scorer_hash(str(tmp_path / "copy")) == before
