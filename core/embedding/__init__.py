"""Turn texts into unit vectors, one row per text."""

from core.embedding.base import ENCODERS, Encoder, EncoderSpec, encoder_hash
from core.embedding.texts import embed

__all__ = ["ENCODERS", "Encoder", "EncoderSpec", "embed", "encoder_hash"]
