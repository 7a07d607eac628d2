"""Decoders: they change a model's next-token logits while it generates, and leave its weights alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import BadInput
from core.lm.decoders.base import Decoder
from core.lm.decoders.dexperts import DExperts, check_side
from core.lm.decoders.files import (
    DECODER,
    DecoderFile,
    DExpertsFile,
    RADFile,
    read_decoder,
    side_folder,
)
from core.lm.decoders.rad import RAD, Remembered, Reward

if TYPE_CHECKING:
    from core.lm.load import LanguageModel

__all__ = [
    "DECODER",
    "RAD",
    "DExperts",
    "DExpertsFile",
    "Decoder",
    "DecoderFile",
    "RADFile",
    "open_decoder",
    "read_decoder",
    "side_folder",
    "with_reward",
]


def open_decoder(
    lm: LanguageModel, folder: Path, open_side: Callable[[Path], LanguageModel]
) -> Decoder | None:
    """The decoder that FOLDER/decoder.json describes, for `lm`; None where there is none. Raises BadModel."""
    said = read_decoder(folder)
    if said is None:
        return None
    if isinstance(said, RADFile):
        return RAD(said.beta, said.k, said.inverse, said.scorer)
    sides = {name: open_side(side_folder(folder, name)) for name in said.sides}
    for side in sides.values():
        check_side(lm, side)
    return DExperts(said.alpha, said.top_p, sides.get(said.expert), sides.get(said.anti))


def with_reward(lm: LanguageModel, reward: Reward) -> LanguageModel:
    """The model whose RAD decoder asks `reward` (texts -> (n,) in [0, 1]), about each text once."""
    if not isinstance(lm.decoder, RAD):
        raise BadInput(f"{lm.source} does not decode by reward, so it takes no reward function")
    return replace(lm, decoder=replace(lm.decoder, reward=Remembered(reward)))
