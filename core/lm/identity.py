"""Which model a folder holds, by a hash of the files that decide what it says; torch is not loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from core.lm.decoders.files import DECODER, read_decoder, side_folder
from core.workspace import read_json

BASE = "base.json"  # where a save holds changed weights only: which model they belong to
CHUNK = 1 << 20
# what decides the model's output; cards, logs and manifests beside it do not
HASHED = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer*.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    DECODER,
)


def files_hash(folder: Path) -> str:
    """Short sha256 of weights, configuration, tokenizer and decoder; BadModel when its decoder is broken."""
    digest = hashlib.sha256()
    if (folder / BASE).is_file():  # the base's place may differ from machine to machine, its hash does not
        digest.update(str(read_json(folder / BASE)["hash"]).encode())
    for path in sorted({p for pattern in HASHED for p in folder.glob(pattern)}):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
    said = read_decoder(folder)
    for name in said.sides if said else ():
        digest.update(f"{name} {files_hash(side_folder(folder, name))}".encode())
    return digest.hexdigest()[:16]
