"""Opens any sentence-transformers model as an encoder; shared by the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import BadModel
from core.lm.load import quiet

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 32  # larger batches gain nothing on a CPU and cost memory


@dataclass(frozen=True)
class SentenceEncoder:
    """A sentence-transformers model in memory."""

    model: SentenceTransformer
    dim: int

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(b, d) float32, rows of unit length; texts longer than the model reads are cut by its tokenizer."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        vectors = self.model.encode(
            texts,
            batch_size=BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.asarray(vectors, dtype=np.float32)


def open_sentence_encoder(folder: Path, *, device: str, trust_remote_code: bool = False) -> SentenceEncoder:
    """Load the model in `folder`; weights are read from safetensors only, never from a pickle."""
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    try:
        with quiet():
            loaded = SentenceTransformer(
                str(folder),
                device=device,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise BadModel(
            f"the encoder in {folder} cannot be loaded ({_first_line(error)}); give a folder that holds a "
            "sentence-transformers model with safetensors weights, or a Hugging Face id"
        ) from error
    return SentenceEncoder(loaded, int(loaded.get_embedding_dimension() or 0))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
