"""Any Hugging Face text classifier as a judge of answers: a folder with safetensors, no code of its own.

Outputs become probabilities as in transformers' own text-classification pipeline: a sigmoid for one output or
several labels at once (problem_type "multi_label_classification"), else a softmax over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadModel
from core.scorers.detoxify import RENAMED, SMALLEST_VOCABULARY, quiet
from core.values import Reporter, Silent

LONGEST = 512  # tokens, where the tokenizer names no limit
SIGMOID, REGRESSION = "multi_label_classification", "regression"


@dataclass(frozen=True)
class ClassifierScorer:
    """An opened classifier; see core.scorers.base.Scorer."""

    name: str
    hash: str
    labels: tuple[str, ...]
    model: Any
    tokenizer: Any
    limit: int  # tokens read of a text

    def score(
        self, texts: Sequence[str], reporter: Reporter = Silent(), batch: int = 64
    ) -> NDArray[np.float32]:
        """(n, L) in [0, 1]; distinct texts once, longest first; texts are cut to what the model reads."""
        distinct = sorted(set(texts), key=lambda t: (-len(t), t))
        row = {text: i for i, text in enumerate(distinct)}
        scores = np.zeros((len(distinct), len(self.labels)), dtype=np.float32)
        for start in range(0, len(distinct), batch):
            part = distinct[start : start + batch]
            scores[start : start + len(part)] = self._probabilities(part)
            reporter.progress(start + len(part), len(distinct), "texts scored")
        return scores[[row[text] for text in texts]]

    def toxicity(self, texts: Sequence[str], reporter: Reporter = Silent()) -> NDArray[np.float32]:
        """(n,) the class "toxicity"."""
        if "toxicity" not in self.labels:
            raise BadModel(f"{self.name} has no class 'toxicity', only {', '.join(self.labels)}")
        return self.score(texts, reporter)[:, self.labels.index("toxicity")]

    def _probabilities(self, texts: list[str]) -> NDArray[np.float32]:
        import torch

        padded = self.tokenizer.pad_token is not None  # else one text at a time: nothing to fill up with
        rows = [texts] if padded else [[text] for text in texts]
        with torch.inference_mode():
            logits = torch.cat([self._logits(part, padded) for part in rows]).float()
            one_by_one = logits.shape[1] == 1 or self.model.config.problem_type == SIGMOID
            found = logits.sigmoid() if one_by_one else logits.softmax(-1)
        return np.asarray(found.cpu().numpy(), dtype=np.float32)

    def _logits(self, texts: list[str], padded: bool) -> Any:
        inputs = self.tokenizer(
            texts, return_tensors="pt", truncation=True, max_length=self.limit, padding=padded
        )
        return self.model(**inputs.to(self.model.device)).logits


def open_classifier(folder: Path, name: str, scorer_hash: str, device: str) -> ClassifierScorer:
    """A folder with config.json, tokenizer files and safetensors weights of a sequence classifier."""
    import transformers
    from safetensors import SafetensorError

    _check_files(folder, name)
    try:
        with quiet():
            opened: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadModel(
            f"the classifier {name!r} cannot be opened ({str(error).strip().splitlines()[0][:200]}); its "
            "folder must hold config.json, tokenizer files and safetensors of one text classifier"
        ) from error
    model, found = opened
    # transformers would fill these with random numbers and only log it
    if missing := sorted(str(key) for key in (*found["missing_keys"], *found["mismatched_keys"])):
        raise BadModel(
            f"{name!r} lacks the weights {', '.join(missing[:3])}: it is no trained classifier, or only "
            "a part of one; take another"
        )
    if len(tokenizer) < SMALLEST_VOCABULARY:
        raise BadModel(
            f"the tokenizer of {name!r} knows {len(tokenizer)} tokens: its vocabulary was not found and "
            "every word would be unknown. Save the tokenizer again, with its tokenizer.json or vocab.txt"
        )
    if model.config.problem_type == REGRESSION:
        raise BadModel(f"{name!r} predicts an amount and no probability of a class; take a classifier")
    named = model.config.id2label
    labels = tuple(RENAMED.get(str(named[i]).lower(), str(named[i]).lower()) for i in range(len(named)))
    limit = _limit(model, tokenizer)
    if model.config.pad_token_id is None and tokenizer.pad_token is not None:
        model.config.pad_token_id = tokenizer.pad_token_id  # a causal classifier finds a text's end by it
    return ClassifierScorer(name, scorer_hash, labels, model.eval().to(device), tokenizer, limit)


def _check_files(folder: Path, name: str) -> None:
    if not (folder / "config.json").is_file():
        raise BadModel(f"{name!r} is no classifier: {folder} holds no config.json; give another folder")
    if not any(folder.glob("*.safetensors")):
        raise BadModel(
            f"{name!r} has no safetensors weights, and pickled ones are never opened; convert it first"
        )


def _limit(model: Any, tokenizer: Any) -> int:
    """Tokens that both read."""
    positions = int(getattr(model.config, "max_position_embeddings", None) or LONGEST)
    if model.config.model_type in ("roberta", "xlm-roberta"):
        positions -= 2  # RoBERTa counts positions from its padding id
    return min(int(tokenizer.model_max_length), positions)
