"""Opens any sentence-transformers model as an encoder; shared by the encoders."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadModel
from core.lm.load import quiet
from core.lm.threads import use_threads

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LEAST_COSINE = 0.995  # between the vectors of both precisions, for every text of the sample
# Tokens in a batch. On a CPU more do not fit its caches (4,096 were a quarter slower than 2,048); a GPU wants
# to be filled.
BUDGET = {"cpu": 2_048, "other": 32_768}
LETTERS = 4  # in a token, where a model's tokenizer cannot be asked


@dataclass(frozen=True)
class SentenceEncoder:
    """A sentence-transformers model in memory."""

    model: SentenceTransformer
    dim: int
    budget: int
    facts: Mapping[str, Any]

    def lengths(self, texts: list[str]) -> NDArray[np.int64]:
        """(b,) tokens of each text after the cut."""
        from transformers import PreTrainedTokenizerBase

        tokenizer, most = self.model.tokenizer, self.model.max_seq_length
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            return np.array([len(text) // LETTERS + 1 for text in texts], dtype=np.int64)
        pieces = tokenizer(
            texts, truncation=most is not None, max_length=most, return_attention_mask=False, verbose=False
        )
        return np.array([len(ids) for ids in pieces["input_ids"]], dtype=np.int64)

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """(b, d) float32, rows of unit length; texts longer than the model reads are cut by its tokenizer."""
        return _vectors(self.model, texts, self.dim)


def _vectors(model: SentenceTransformer, texts: list[str], dim: int) -> NDArray[np.float32]:
    if not texts:
        return np.zeros((0, dim), dtype=np.float32)
    found = model.encode(
        texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=False, convert_to_tensor=True
    )
    vectors = found.float().cpu().numpy()  # to length one in float32: bfloat16 has three digits
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), dtype=np.float32)


def open_sentence_encoder(
    folder: Path, *, device: str, precision: str, sample: list[str], trust_remote_code: bool = False
) -> SentenceEncoder:
    """Load the model in `folder`; weights are read from safetensors only, never from a pickle.

    `precision` is auto, float32 or bfloat16; `sample` are texts on which bfloat16 is tried.
    """
    model = _load(folder, device, trust_remote_code)
    if device == "cpu":
        use_threads(sum(weight.numel() for weight in model.parameters()))
    dim = int(model.get_embedding_dimension() or 0)
    model, facts = _settled(model, precision, device, sample, dim)
    return SentenceEncoder(model, dim, BUDGET.get(device, BUDGET["other"]), facts)


def _load(folder: Path, device: str, trust_remote_code: bool) -> SentenceTransformer:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    try:
        with quiet():
            return SentenceTransformer(
                str(folder),
                device=device,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise BadModel(
            f"the encoder in {folder} cannot be loaded ({_first_line(error)}); give a folder that holds a "
            "sentence-transformers model with safetensors weights, or a Hugging Face id"
        ) from error


def _settled(
    model: SentenceTransformer, precision: str, device: str, sample: list[str], dim: int
) -> tuple[SentenceTransformer, dict[str, Any]]:
    """The model in the precision to use, and what to record of it."""
    if precision == "float32" or (precision == "auto" and not computes_bfloat16(device)):
        return model, {"precision": "float32"}
    rough = deepcopy(model).bfloat16()
    cosine = (_vectors(model, sample, dim) * _vectors(rough, sample, dim)).sum(axis=1)
    lowest = float(cosine.min(initial=1.0))
    keep = precision == "bfloat16" or lowest >= LEAST_COSINE
    facts = {"precision": "bfloat16" if keep else "float32", "lowest_sample_cosine": lowest}
    return (rough if keep else model), facts


def computes_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 itself; where it is emulated it is slower than float32."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if device == "cpu" else {}
    return any("bf16" in name and able[name] is True for name in able)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
