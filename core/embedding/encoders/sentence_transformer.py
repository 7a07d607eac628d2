"""Any sentence-transformers model, by Hugging Face id or folder.

Reimers and Gurevych, "Sentence-BERT", EMNLP 2019 (arXiv:1908.10084).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from core.embedding.base import Encoder, EncoderParams, encoder
from core.embedding.sentence import open_sentence_encoder
from core.errors import BadInput, BadModel
from core.workspace import folder_hash

FILES = ("*.json", "*.txt", "*.safetensors", "*.model")


class SentenceTransformerParams(EncoderParams):
    """Which model, and whether its own code may run."""

    model: str = Field("", description="Hugging Face id, or a folder with a sentence-transformers model.")
    revision: str = Field(
        "", description="Commit or tag of an id; empty = its newest. Pin it to repeat a result."
    )
    trust_remote_code: bool = Field(
        False, description="Let the model run Python code that it brings along: only for models you trust."
    )


def _identity(params: SentenceTransformerParams) -> str:
    folder = Path(params.model).expanduser()
    if params.model and folder.is_dir():
        return folder_hash(folder)
    return f"{params.model}@{params.revision or 'main'}"


@encoder(title="Sentence-transformers model", source="arXiv:1908.10084", identity=_identity)
def sentence_transformer(params: SentenceTransformerParams, device: str, sample: list[str]) -> Encoder:
    """Open the named model."""
    if not params.model:
        raise BadInput(
            "the encoder 'sentence_transformer' needs a model: set `model` to a Hugging Face id such as "
            "sentence-transformers/all-mpnet-base-v2, or to a folder; 'minilm' is bundled and needs nothing"
        )
    return open_sentence_encoder(
        _folder(params),
        device=device,
        precision=params.precision,
        sample=sample,
        trust_remote_code=params.trust_remote_code,
    )


def _folder(params: SentenceTransformerParams) -> Path:
    """The model's folder; an id is fetched as a whole, without pickles, without code unless trusted."""
    folder = Path(params.model).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    code = ["*.py"] if params.trust_remote_code else []
    try:
        return Path(
            snapshot_download(params.model, revision=params.revision or None, allow_patterns=[*FILES, *code])
        )
    except (OSError, ValueError) as error:
        raise BadModel(
            f"the encoder {params.model!r} is no folder here and cannot be fetched from Hugging Face "
            f"({type(error).__name__}); check the name and the network, give a folder, or use 'minilm'"
        ) from error
