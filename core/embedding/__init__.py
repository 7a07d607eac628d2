"""Turn texts into unit vectors, one row per text."""

from core.embedding.base import ENCODERS, Encoder, EncoderSpec, encoder_hash
from core.embedding.texts import Embedded, Watch, embed

__all__ = ["ENCODERS", "Embedded", "Encoder", "EncoderSpec", "Watch", "embed", "encoder_hash"]
