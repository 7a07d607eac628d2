"""Toxicity through detoxify: from a scorer folder, by detoxify's model name, or from a user's checkpoint.

Hanu and Unitary team, "Detoxify", github.com/unitaryai/detoxify, version 0.5.4. Its own loader unpickles
whatever it is given and its `predict` takes the whole list as one batch; here the weights are read by
safetensors or with weights_only=True and handed to detoxify's own builder, and texts go to `Detoxify.predict`
in small batches.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadModel, StorageError
from core.values import Reporter, Silent
from core.workspace import read_json

if TYPE_CHECKING:
    from detoxify import Detoxify

NAMES = ("original", "unbiased", "multilingual", "original-small", "unbiased-small")
# detoxify gives the same class one name whatever the data set called it; so must we, for folders
RENAMED = {"toxic": "toxicity", "identity_hate": "identity_attack", "severe_toxic": "severe_toxicity"}
WHOLE = (
    "check that its folder holds config.json (with id2label), tokenizer files and model.safetensors of one "
    "and the same model"
)
ONLINE = (
    "its configuration and tokenizer are fetched from Hugging Face on first use, so connect once, or use the "
    "scorer 'demo', or a scorer folder of yours"
)
SMALLEST_VOCABULARY = 6  # a tokenizer that lost its vocabulary still holds its five special tokens


@dataclass(frozen=True)
class DetoxifyScorer:
    """An opened model; see core.scorers.base.Scorer."""

    name: str
    hash: str
    labels: tuple[str, ...]
    model: Detoxify

    def score(
        self, texts: Sequence[str], reporter: Reporter = Silent(), batch: int = 64
    ) -> NDArray[np.float32]:
        """(n, L) in [0, 1]; distinct texts once, longest first; texts are cut to the model's positions."""
        distinct = sorted(set(texts), key=lambda t: (-len(t), t))
        row = {text: i for i, text in enumerate(distinct)}
        scores = np.zeros((len(distinct), len(self.labels)), dtype=np.float32)
        for start in range(0, len(distinct), batch):
            part = distinct[start : start + batch]
            found = self.model.predict(part)
            for column, label in enumerate(self.labels):
                # a list of one text comes back as a bare number, not as a list of one
                scores[start : start + len(part), column] = np.atleast_1d(found[label])
            reporter.progress(start + len(part), len(distinct), "texts scored")
        return scores[[row[text] for text in texts]]

    def toxicity(self, texts: Sequence[str], reporter: Reporter = Silent()) -> NDArray[np.float32]:
        """(n,) the class "toxicity"."""
        return self.score(texts, reporter)[:, self.labels.index("toxicity")]


def open_folder(folder: Path, name: str, scorer_hash: str) -> DetoxifyScorer:
    """A folder with config.json, tokenizer files, model.safetensors and classes.json."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    classes = read_classes(folder)
    try:
        architecture = str(read_json(folder / "config.json")["architectures"][0])
        weights = load_file(folder / "model.safetensors")
    except (StorageError, OSError, SafetensorError, KeyError, IndexError, TypeError) as error:
        raise BadModel(
            f"the scorer folder {folder} cannot be read ({error}); it must hold config.json (naming its "
            "architecture), tokenizer files, model.safetensors and classes.json"
        ) from error
    arguments = {"model_type": str(folder), "model_name": architecture, "tokenizer_name": "AutoTokenizer"}
    return _build(name, scorer_hash, classes, arguments, weights, folder)


def open_name(name: str, scorer_hash: str) -> DetoxifyScorer:
    """One of detoxify's published models, downloaded once and checked against the hash in its file name."""
    from detoxify.detoxify import MODEL_URLS
    from torch.hub import load_state_dict_from_url

    try:
        with redirect_stdout(sys.stderr):  # it announces the download where results are printed
            loaded = load_state_dict_from_url(
                MODEL_URLS[name], map_location="cpu", check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise BadModel(
            f"detoxify's model {name!r} cannot be loaded ({_line(error)}); it is downloaded from github.com "
            "on first use, so connect once, or use the scorer 'demo' or a scorer folder of yours"
        ) from error
    return _from_checkpoint(loaded, f"detoxify {name}", scorer_hash, None)


def open_checkpoint(file: Path, scorer_hash: str) -> DetoxifyScorer:
    """A detoxify checkpoint of the user's; one that holds more than tensors, numbers and text is refused."""
    import torch

    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadModel(
            f"the checkpoint {file} cannot be read safely ({_line(error)}); save it again with nothing but "
            "tensors, numbers, text, lists and dicts in it"
        ) from error
    # model_type may be a path of the machine that wrote the file; the file's own folder then takes its place
    beside = file.parent if (file.parent / "config.json").is_file() else None
    return _from_checkpoint(loaded, file.stem, scorer_hash, beside)


def _from_checkpoint(loaded: Any, name: str, scorer_hash: str, folder: Path | None) -> DetoxifyScorer:
    try:
        arguments = dict(loaded["config"]["arch"]["args"])
        classes = [str(c) for c in loaded["config"]["dataset"]["args"]["classes"]]
        weights = loaded["state_dict"]
    except (KeyError, TypeError) as error:
        raise BadModel(
            f"the checkpoint of {name!r} lacks {error}; a detoxify checkpoint holds config.arch.args, "
            "config.dataset.args.classes and state_dict"
        ) from error
    arguments.pop("num_classes", None)
    if folder is not None:
        arguments["model_type"] = str(folder)
    return _build(name, scorer_hash, classes, arguments, weights, folder)


def read_classes(folder: Path) -> list[str]:
    """The class names of a scorer folder, in the order of its outputs."""
    if not folder.is_dir():
        raise BadModel(f"there is no scorer folder {folder}; known names are {', '.join(NAMES)}")
    try:
        return [str(c) for c in read_json(folder / "classes.json")["classes"]]
    except (StorageError, KeyError, TypeError) as error:
        raise BadModel(
            f"{folder} is no scorer: its classes.json is missing or lists no classes; write "
            '{"name": ..., "classes": ["toxicity", ...]} in the order of the outputs'
        ) from error


def _build(
    name: str,
    scorer_hash: str,
    classes: list[str],
    arguments: Mapping[str, Any],
    weights: Mapping[str, Any],
    folder: Path | None,
) -> DetoxifyScorer:
    """Let detoxify build the model, then check what it does not: keys, vocabulary, number of classes."""
    from detoxify import Detoxify
    from detoxify.detoxify import get_model_and_tokenizer

    try:
        with quiet():
            model, tokenizer = get_model_and_tokenizer(
                **arguments,
                num_classes=len(classes),
                state_dict=dict(weights),
                huggingface_config_path=None if folder is None else str(folder),
            )
    except (OSError, RuntimeError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise BadModel(
            f"the scorer {name!r} cannot be built ({_line(error)}); {ONLINE if folder is None else WHOLE}"
        ) from error
    _check(name, classes, model, tokenizer, weights)
    positions = int(model.config.max_position_embeddings)
    if model.config.model_type in ("roberta", "xlm-roberta"):
        positions -= 2  # RoBERTa counts positions from its padding id
    tokenizer.model_max_length = min(int(tokenizer.model_max_length), positions)
    opened = Detoxify.__new__(Detoxify)  # __init__ would unpickle a checkpoint
    opened.model, opened.tokenizer, opened.device = model, tokenizer, "cpu"
    opened.class_names = [RENAMED.get(c, c) for c in classes]
    return DetoxifyScorer(name, scorer_hash, tuple(opened.class_names), opened)


def _check(name: str, classes: list[str], model: Any, tokenizer: Any, weights: Mapping[str, Any]) -> None:
    missing = sorted(set(model.state_dict()) - set(weights))
    # integer buffers (position ids) are made by the model itself and absent from older checkpoints
    missing = [key for key in missing if model.state_dict()[key].is_floating_point()]
    if missing:
        raise BadModel(
            f"the weights of scorer {name!r} lack {missing[0]!r} and {len(missing) - 1} more; they would "
            "silently be random numbers. Save the whole model again"
        )
    if len(tokenizer) < SMALLEST_VOCABULARY:
        raise BadModel(
            f"the tokenizer of scorer {name!r} knows {len(tokenizer)} tokens: its vocabulary was not found "
            "and every word would be unknown. Save the tokenizer again, with its tokenizer.json or vocab.txt"
        )
    outputs = int(model.config.num_labels)
    if outputs != len(classes) or len(set(classes)) != len(classes):
        raise BadModel(
            f"scorer {name!r} has {outputs} outputs but names {len(classes)} classes "
            f"({', '.join(classes)}); give each output one name of its own in classes.json"
        )
    if "toxicity" not in [RENAMED.get(c, c) for c in classes]:
        raise BadModel(
            f"scorer {name!r} has no class 'toxicity', only {', '.join(classes)}; Winnow needs that one"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers on stderr: the reporter is the only voice."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
