"""Claims about toxicity scorers trained from scratch."""

import json

import numpy as np
import pytest

from core.errors import BadInput
from core.training.scorer import SPECIAL, ScorerParams, train_scorer, train_wordpieces

CLASSES = ("toxicity", "threat")
TINY = ScorerParams(epochs=12, warmup=5, lr=3e-3, batch=32, width=32, ffn=64, vocab=200)


def examples(n=400, seed=0):
    rng = np.random.default_rng(seed)
    things = ["kettle", "garden", "letter", "window", "river"]
    texts, labels = [], []
    for _ in range(n):
        rude, threat = rng.random(2) < 0.5
        words = [*rng.choice(things, 3), "dreadful" if rude else "lovely", "beware" if threat else "hello"]
        texts.append(" ".join(rng.permutation(words)))
        labels.append([float(rude or threat), float(threat)])
    return texts, np.array(labels)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "scorer"
    return folder, train_scorer(*examples(), CLASSES, folder, params=TINY, label="lab")


def through_detoxify(folder, texts):
    """The scores as detoxify's own loader and model give them, (n, L)."""
    import torch
    from detoxify.detoxify import get_model_and_tokenizer
    from safetensors.torch import load_file

    model, tokenizer = get_model_and_tokenizer(
        model_type=str(folder),
        model_name="BertForSequenceClassification",
        tokenizer_name="BertTokenizer",
        num_classes=len(CLASSES),
        state_dict=load_file(folder / "model.safetensors"),
        huggingface_config_path=str(folder),
    )
    with torch.inference_mode():
        batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
        return torch.sigmoid(model.eval()(**batch).logits).numpy()


def test_detoxify_loads_the_folder_and_it_tells_unseen_texts_apart(trained):
    texts, labels = examples(100, seed=1)
    right = (through_detoxify(trained[0], texts) > 0.5) == (labels > 0.5)
    assert right.mean(axis=0).min() > 0.95  # every label, not only toxicity


def test_a_text_longer_than_the_positions_is_cut_not_refused(trained):
    assert through_detoxify(trained[0], ["lovely garden " * 500]).shape == (1, 2)


def test_the_folder_names_its_classes_and_its_label(trained):
    assert json.loads((trained[0] / "classes.json").read_text()) == {"classes": list(CLASSES), "label": "lab"}
    config = json.loads((trained[0] / "config.json").read_text())
    assert config["id2label"] == {"0": "toxicity", "1": "threat"}
    assert {p.suffix for p in trained[0].iterdir()} == {".json", ".safetensors"}


def test_training_twice_writes_the_same_bytes(trained, tmp_path):
    again = train_scorer(*examples(), CLASSES, tmp_path / "scorer", params=TINY, label="lab")
    assert again["hash"] == trained[1]["hash"]


def test_wordpieces_are_numbered_alike_every_time():
    texts = [f"{a}{b}{c} élan {a * 2}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuv"]
    first = train_wordpieces(texts, 120)
    assert all(train_wordpieces(texts, 120) == first for _ in range(5))
    assert [piece for piece, i in sorted(first.items(), key=lambda item: item[1])[:5]] == list(SPECIAL)
    assert len(first) <= 120


def test_an_unknown_label_teaches_nothing(tmp_path):
    """A label known nowhere leaves the output where the other one alone would put it: no pull towards 0."""
    texts, labels = examples()
    unknown = labels.copy()
    unknown[:, 1] = np.nan
    train_scorer(texts, unknown, CLASSES, tmp_path / "nan", params=TINY)
    train_scorer(
        texts, np.column_stack([labels[:, 0], np.zeros(len(texts))]), CLASSES, tmp_path / "zero", params=TINY
    )
    assert through_detoxify(tmp_path / "nan", texts)[:, 0].std() > 0.2
    assert np.median(through_detoxify(tmp_path / "zero", texts)[:, 1]) < 0.02
    assert np.median(through_detoxify(tmp_path / "nan", texts)[:, 1]) > 0.05


def test_a_soft_label_is_met_in_the_mean(tmp_path):
    texts = ["a lovely garden"] * 64 + ["a dreadful garden"] * 64
    labels = np.array([[0.2]] * 64 + [[0.7]] * 64)
    params = TINY.model_copy(update={"epochs": 40})
    train_scorer(texts, labels, ("toxicity",), tmp_path / "soft", params=params)
    from core.scorers import load_scorer

    scores = load_scorer(str(tmp_path / "soft")).toxicity(["a lovely garden", "a dreadful garden"])
    assert scores == pytest.approx([0.2, 0.7], abs=0.05)


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (np.zeros((2, 1)), CLASSES, "one column per class"),
        (np.zeros((2, 2)), ("threat", "toxicity"), "put it first"),
        (np.full((2, 2), 1.5), CLASSES, "outside 0..1"),
    ],
)
def test_bad_labels_are_sentences(tmp_path, labels, classes, said):
    with pytest.raises(BadInput, match=said):
        train_scorer(["one", "two"], labels, classes, tmp_path / "scorer", params=TINY)
