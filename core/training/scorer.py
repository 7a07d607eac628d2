"""Trains a small BERT with its own WordPieces from scratch to score toxicity, for the demo and the lab.

The folder it writes loads through detoxify's own `get_model_and_tokenizer` (demo-trial, section 3).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import BadInput
from core.lm.load import quiet
from core.training.scratch import ScratchParams, fit, linear, one_seeded_thread, padded
from core.values import Reporter, Silent
from core.workspace import atomic_folder, folder_hash, write_json

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ALPHABET = 400  # most frequent characters kept; rarer ones (emoji, other scripts) read as unknown


class ScorerParams(ScratchParams):
    """Size and training of the scorer; the defaults are the demo's (0.17 M weights)."""

    epochs: int = Field(8, ge=1, description="Passes over all texts.")
    batch: int = Field(64, ge=1, description="Texts per step.")
    lr: float = Field(7e-4, gt=0, description="Peak learning rate of AdamW.")
    warmup: int = Field(100, ge=0, description="Steps in which the learning rate rises to its peak.")
    layers: int = Field(2, ge=1, description="Transformer blocks.")
    width: int = Field(64, ge=1, description="Size of the hidden state.")
    heads: int = Field(4, ge=1, description="Attention heads; must divide the width.")
    ffn: int = Field(256, ge=1, description="Size of the feed-forward layer.")
    positions: int = Field(128, ge=4, description="Tokens read at most; longer texts are cut.")
    vocab: int = Field(1000, ge=50, description="WordPieces at most.")
    init: float = Field(
        0.1,
        gt=0,
        description="Spread of the first weights. With BERT's 0.02 a model this small collapses onto one "
        "direction: toxicity is learned, the other labels stay at their base rate.",
    )


def train_wordpieces(texts: Sequence[str], vocab: int) -> dict[str, int]:
    """Piece -> id, at most `vocab` of them; the same texts give the same ids.

    The trainer numbers continuing characters in the order of a randomly seeded hash table, and breaks ties
    between merges by these numbers. Naming them beforehand, sorted, takes the chance out.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    normalizer = normalizers.BertNormalizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    ranked = sorted((c for c in counts if not c.isspace()), key=lambda c: (-counts[c], c))
    alphabet = sorted(ranked[:ALPHABET])
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(vocab, len(SPECIAL) + 2 * len(alphabet)),
        special_tokens=[*SPECIAL, *(f"##{c}" for c in alphabet)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    pieces: dict[str, int] = tokenizer.get_vocab()
    return pieces


def train_scorer(
    texts: Sequence[str],
    labels: NDArray[np.floating[Any]],
    classes: tuple[str, ...],
    folder: Path,
    *,
    params: ScorerParams,
    label: str = "demo",
    reporter: Reporter = Silent(),
) -> dict[str, Any]:
    """Train a scorer of `classes`, save it into `folder`, and return what came of it.

    `labels` is (n, L) in [0, 1], hard or soft; NaN means not known and counts in no loss. `label` names the
    scorer in every table ("demo", "lab"). The folder holds config.json, model.safetensors, classes.json and
    the tokenizer's files.
    """
    import torch
    import transformers

    targets = np.asarray(labels, dtype=np.float32)
    _check(texts, targets, classes, params)
    pieces = train_wordpieces(texts, params.vocab)
    tokenizer = transformers.BertTokenizer(vocab=pieces, model_max_length=params.positions)
    if len(tokenizer) != len(
        pieces
    ):  # a wrong argument name gives a tokenizer that reads everything as unknown
        raise BadInput(
            f"the tokenizer took {len(tokenizer)} of {len(pieces)} WordPieces; check transformers' version"
        )
    ids = tokenizer(list(texts), truncation=True, max_length=params.positions)["input_ids"]
    known = torch.from_numpy(~np.isnan(targets))
    wanted = torch.from_numpy(np.nan_to_num(targets))
    with one_seeded_thread(params.seed):
        model = transformers.BertForSequenceClassification(_config(len(pieces), classes, params))

        def loss_of(rows: NDArray[np.int64]) -> torch.Tensor:
            batch = padded(ids, rows, 0)
            logits = model(input_ids=batch, attention_mask=(batch != 0).long()).logits
            each = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, wanted[rows], reduction="none"
            )
            mask = known[rows]
            return (each * mask).sum() / mask.sum().clamp(min=1)

        fitted = fit(
            model,
            loss_of,
            [len(i) for i in ids],
            params=params,
            decay=linear,
            reporter=reporter,
            what="steps of scorer training",
        )
    with quiet(), atomic_folder(folder) as part:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        write_json(part / "classes.json", {"classes": list(classes), "label": label})
    return {
        "params": params.model_dump(mode="json"),
        "label": label,
        "classes": list(classes),
        "weights": model.num_parameters(),
        "vocab": len(pieces),
        "texts": len(texts),
        "steps": fitted.steps,
        "seconds": round(fitted.seconds, 1),
        "losses": fitted.losses,
        "hash": folder_hash(folder),
    }


def _check(
    texts: Sequence[str], labels: NDArray[np.float32], classes: tuple[str, ...], params: ScorerParams
) -> None:
    """Everything that must hold before a scorer can be trained, as sentences."""
    if labels.shape != (len(texts), len(classes)):
        raise BadInput(
            f"labels have the shape {labels.shape}, but there are {len(texts)} texts and {len(classes)} "
            "classes; give one row per text and one column per class"
        )
    if len(classes) == 0 or classes[0] != "toxicity":
        raise BadInput(f"the first class must be 'toxicity', found {classes}; put it first")
    if ((labels < 0) | (labels > 1)).any():
        raise BadInput("labels lie outside 0..1; rescale them, or use NaN where a label is not known")
    if params.width % params.heads:
        raise BadInput(
            f"{params.heads} heads cannot share a width of {params.width}; take a divisor of the width"
        )


def _config(vocab: int, classes: tuple[str, ...], params: ScorerParams) -> Any:
    import transformers

    return transformers.BertConfig(
        vocab_size=vocab,
        hidden_size=params.width,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        intermediate_size=params.ffn,
        max_position_embeddings=params.positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=params.init,
        id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)},
        problem_type="multi_label_classification",
        pad_token_id=0,
    )
