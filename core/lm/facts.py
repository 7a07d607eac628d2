"""What a model folder says of itself before it is opened: how many weights lie where. Torch is not loaded."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadModel, StorageError
from core.workspace import read_json

BASE = "base.json"  # a changed save: its base is described
HEADER_BYTES = 100 << 20  # safetensors' own limit of a header
BLOCK = re.compile(r"\.(?:h|layers|blocks)\.(\d+)\.")
DEPTHS = ("num_hidden_layers", "n_layer", "num_layers")
WIDTHS = ("hidden_size", "n_embd", "d_model")
CONTEXTS = ("max_position_embeddings", "n_positions")


@dataclass(frozen=True)
class ModelFacts:
    """Sizes of a causal language model, in numbers, not bytes."""

    weights: int
    in_blocks: int  # of them in transformer blocks
    blocks: int
    width: int
    vocabulary: int
    context: int

    @property
    def largest_block(self) -> int:
        """Weights of one block; blocks of one model are alike."""
        return math.ceil(self.in_blocks / max(self.blocks, 1))

    @property
    def multiplied(self) -> int:
        """Weights each scored token is multiplied with: the blocks' and the output head's."""
        return self.in_blocks + self.vocabulary * self.width


def model_facts(folder: Path) -> ModelFacts:
    """Read config.json and the headers of the safetensors files; BadModel when they say too little."""
    place = folder
    while (place / BASE).is_file():
        said = read_json(place / BASE)
        here = place.resolve() / str(said["relative"])
        place = here if said["relative"] and here.is_dir() else Path(str(said["source"]))
    try:
        config: dict[str, Any] = read_json(place / "config.json")
        shapes = {
            name: shape for path in sorted(place.glob("*.safetensors")) for name, shape in _header(path)
        }
    except (StorageError, OSError, ValueError, struct.error) as error:
        raise BadModel(f"the sizes of the model in {folder} cannot be read: {error}") from error
    config |= config.get("text_config") or {}
    blocks = _first(config, DEPTHS)
    if not shapes or not blocks:
        raise BadModel(f"{folder} holds no safetensors weights, or no count of blocks in config.json")
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    return ModelFacts(
        weights=sum(sizes.values()),
        in_blocks=sum(size for name, size in sizes.items() if BLOCK.search(f".{name}")),
        blocks=blocks,
        width=_first(config, WIDTHS),
        vocabulary=int(config.get("vocab_size", 0)),
        context=_first(config, CONTEXTS) or 1024,
    )


def _first(config: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((int(config[name]) for name in names if config.get(name)), 0)


def _header(path: Path) -> list[tuple[str, list[int]]]:
    """(name, shape) of every tensor: eight bytes of length, then json."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > HEADER_BYTES:
            raise ValueError(f"{path.name} has no safetensors header")
        found = json.loads(file.read(length))
    return [(name, entry["shape"]) for name, entry in found.items() if name != "__metadata__"]
