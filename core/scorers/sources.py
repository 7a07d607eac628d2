"""Finds out what a scorer's source is (folder, detoxify name, checkpoint file), names it and opens it."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from core.errors import BadModel, StorageError
from core.scorers import detoxify
from core.scorers.base import Scorer
from core.workspace import folder_hash, read_json


def load_scorer(source: str, *, device: str = "cpu") -> Scorer:
    """Open the scorer at `source`: a scorer folder, a name of detoxify's, or a .ckpt file.

    Raises BadModel with the reason when it cannot be opened, whole and safely.
    """
    path = Path(source).expanduser()
    identity = scorer_hash(source)
    if source in detoxify.NAMES:
        scorer = detoxify.open_name(source, identity)
    elif path.is_file():
        scorer = detoxify.open_checkpoint(path, identity)
    else:
        scorer = detoxify.open_folder(path, scorer_name(path), identity)
    scorer.model.model.to(device)
    return scorer


def scorer_hash(source: str) -> str:
    """Names the scorer's weights without loading torch: hash of its files, or name and pinned version."""
    path = Path(source).expanduser()
    if source in detoxify.NAMES:
        return f"detoxify-{version('detoxify')}-{source}"
    if path.is_file():
        if path.suffix != ".ckpt":
            raise BadModel(
                f"{path} is a file; a scorer is a folder, a .ckpt file or one of {', '.join(detoxify.NAMES)}"
            )
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if not path.is_dir():
        raise BadModel(
            f"there is no scorer {source!r}: give a scorer folder, a .ckpt file or one of "
            f"{', '.join(detoxify.NAMES)}"
        )
    return folder_hash(path)


def scorer_name(folder: Path) -> str:
    """What tables call it: name or label in its classes.json, else the folder's own name."""
    try:
        said = read_json(folder / "classes.json")
        return str(said.get("name") or said.get("label") or folder.name)
    except (StorageError, AttributeError):
        return folder.name
