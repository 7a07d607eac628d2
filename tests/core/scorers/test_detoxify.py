"""Toxicity scorers: the numbers are the model's own, and what loads silently wrong is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadModel
from core.scorers import load_scorer, scorer_hash

CLASSES = ["toxicity", "insult", "identity_hate"]
WORDS = [
    "you",
    "are",
    "a",
    "rotten",
    "old",
    "kettle",
    "the",
    "fox",
    "sings",
    "kindly",
    "to",
    "every",
    "town",
    "and",
    "nobody",
    "minds",
]
TEXTS = [
    "you are a rotten kettle",
    "the fox sings",
    "kindly",
    "nobody minds the old town " * 3,
    "",
    "the fox sings",
]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random scorer with wide weights, so that every text has a score of its own."""
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("scorer")
    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocab),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        initializer_range=0.5,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "classes.json").write_text(json.dumps({"name": "tiny", "classes": CLASSES, "label": "demo"}))
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of the scorer that a test may break."""
    return Path(shutil.copytree(built, tmp_path / "scorer"))


def expected(folder: Path, text: str) -> np.ndarray[Any, Any]:
    """The score straight from transformers, one text at a time, without padding or batching."""
    import torch
    import transformers

    model = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    with torch.no_grad():
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=24)
        return np.asarray(model(**inputs).logits.sigmoid()[0])


@pytest.mark.parametrize("batch", [1, 4, 5, 64])  # 4 leaves a batch of one text: a bare number, not a list
def test_scores_are_the_models_own_whatever_the_batch(built: Path, batch: int) -> None:
    scores = load_scorer(str(built)).score(TEXTS, batch=batch)
    assert scores.shape == (len(TEXTS), 3) and scores.dtype == np.float32
    assert scores == pytest.approx(np.array([expected(built, t) for t in TEXTS]), abs=1e-5)
    assert scores[:, 0].std() > 0.01, "a scorer that says the same of everything would pass the line above"


def test_toxicity_is_the_column_of_that_name(built: Path) -> None:
    scorer = load_scorer(str(built))
    assert (scorer.toxicity(TEXTS) == scorer.score(TEXTS)[:, 0]).all()
    assert scorer.toxicity(["you"]).shape == (1,) and scorer.toxicity([]).shape == (0,)


def test_classes_are_named_as_detoxify_names_them(built: Path) -> None:
    scorer = load_scorer(str(built))
    assert scorer.labels == ("toxicity", "insult", "identity_attack")
    assert scorer.name == "tiny" and scorer.hash == scorer_hash(str(built))


def test_texts_longer_than_the_model_are_cut(built: Path) -> None:
    long = "the fox sings kindly " * 40
    assert load_scorer(str(built)).score([long])[0] == pytest.approx(expected(built, long), abs=1e-5)


def test_long_work_tells_how_far_it_is(built: Path) -> None:
    from core.values import Silent

    seen: list[tuple[int, int]] = []

    class Counting(Silent):
        def progress(self, done: int, total: int, what: str) -> None:
            seen.append((done, total))

    load_scorer(str(built)).score(TEXTS, Counting(), batch=2)
    assert seen == [(2, 5), (4, 5), (5, 5)], "equal texts are scored once"


def test_a_missing_weight_is_refused_instead_of_random(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadModel, match=r"classifier\.weight"):
        load_scorer(str(folder))


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (["toxicity", "insult"], "3 outputs|cannot be built"),
        (["toxicity", "insult", "threat", "more"], "outputs|cannot be built"),
        (["toxicity", "insult", "insult"], "name of its own"),
        (["kind", "calm", "insult"], "no class 'toxicity'"),
    ],
)
def test_classes_that_do_not_fit_the_outputs_are_refused(
    folder: Path, classes: list[str], sentence: str
) -> None:
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    with pytest.raises(BadModel, match=sentence):
        load_scorer(str(folder))


def test_a_tokenizer_that_lost_its_vocabulary_is_refused(folder: Path) -> None:
    import transformers

    (folder / "tokenizer.json").unlink()
    transformers.BertTokenizer(vocab=None).save_pretrained(folder)
    with pytest.raises(BadModel, match="vocabulary"):
        load_scorer(str(folder))


@pytest.mark.parametrize("lost", ["classes.json", "config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_says_which_files_it_needs(folder: Path, lost: str) -> None:
    (folder / lost).unlink()
    with pytest.raises(BadModel, match=lost):
        load_scorer(str(folder))


def test_a_broken_weight_file_is_a_sentence(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(BadModel, match="cannot be read"):
        load_scorer(str(folder))


@pytest.mark.parametrize("source", ["no/such/folder", "originel"])
def test_an_unknown_scorer_names_what_there_is(source: str) -> None:
    with pytest.raises(BadModel, match="unbiased"):
        load_scorer(source)


def test_a_published_model_that_cannot_be_fetched_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    import torch

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(BadModel, match="connect once"):
        load_scorer("original")
    assert scorer_hash("original") != scorer_hash("unbiased")


def checkpoint(folder: Path, extra: dict[str, Any]) -> Path:
    import torch
    from safetensors.torch import load_file

    arguments = {
        "model_type": "/nowhere",  # where it lay on the machine that wrote it
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
        "num_classes": 3,
    }
    config = {"arch": {"args": arguments}, "dataset": {"args": {"classes": CLASSES}}}
    content = {"config": config, "state_dict": load_file(folder / "model.safetensors"), **extra}
    torch.save(content, folder / "mine.ckpt")
    return folder / "mine.ckpt"


def test_a_users_checkpoint_scores_like_its_folder(folder: Path, built: Path) -> None:
    scorer = load_scorer(str(checkpoint(folder, {})))
    assert scorer.name == "mine"
    assert (scorer.score(TEXTS) == load_scorer(str(built)).score(TEXTS)).all()


def test_a_checkpoint_that_could_run_code_is_refused(folder: Path) -> None:
    with pytest.raises(BadModel, match="cannot be read safely"):
        load_scorer(str(checkpoint(folder, {"surprise": Path("x")})))


def test_the_hash_follows_the_weights(folder: Path, built: Path) -> None:
    assert scorer_hash(str(folder)) == scorer_hash(str(built))
    (folder / "classes.json").write_text(json.dumps({"classes": ["toxicity", "b", "c"]}))
    assert scorer_hash(str(folder)) != scorer_hash(str(built))


def test_a_scorer_trained_here_opens_under_its_label(tmp_path: Path) -> None:
    from core.training.scorer import ScorerParams, train_scorer

    texts = ["you rotten kettle", "the fox sings kindly"] * 40
    labels = np.array([[1.0, 1.0], [0.0, 0.0]] * 40)
    params = ScorerParams(epochs=15, batch=16, warmup=5, lr=5e-3)
    train_scorer(texts, labels, ("toxicity", "insult"), tmp_path / "s", params=params, label="lab")
    scorer = load_scorer(str(tmp_path / "s"))
    toxic, kind = scorer.toxicity(texts[:2])
    assert scorer.name == "lab" and toxic > 0.8 and kind < 0.2
