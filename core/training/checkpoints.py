"""Keeps weights: the best ones while training, the repaired ones on disk as safetensors, never pickle."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.lm.identity import BASE
from core.lm.load import CHANGED, LanguageModel, find_folder, quiet
from core.workspace import atomic_folder, write_json

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, "torch.Tensor"]
Keep = Literal["full", "changed", "none"]


def snapshot(weights: Weights, before: Weights | None = None) -> dict[str, torch.Tensor]:
    """A copy of these weights in main memory; tensors equal to those of `before` are shared with it."""
    import torch

    kept = {}
    for name, weight in weights.items():
        there = weight.detach().to("cpu", copy=True)
        same = before is not None and name in before and torch.equal(there, before[name])
        kept[name] = before[name] if before is not None and same else there
    return kept


def restore(weights: Weights, copies: Weights) -> None:
    """Put the copies back in place."""
    import torch

    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(copies[name])


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    """All weights of the model by name, in place."""
    return dict(model.named_parameters())


def weights_hash(weights: Weights) -> str:
    """Short sha256 of names and bits of all weights."""
    import torch

    digest = hashlib.sha256()
    for name, values in sorted(weights.items()):
        digest.update(name.encode() + b"\0")
        digest.update(values.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def save(lm: LanguageModel, folder: Path, keep: Keep, base: Weights) -> None:
    """Write the model as it is: whole ("full"), the tensors that differ from `base` ("changed"), or not.

    `base` are the weights that `lm.source` holds; load_model puts the two together again, bit for bit, and
    refuses when the base is no longer the same.
    """
    from safetensors.torch import save_file

    if keep == "none":
        return
    with atomic_folder(folder) as part:
        if keep == "full":
            with quiet():
                lm.model.save_pretrained(part)
            lm.tokenizer.save_pretrained(part)
            return
        now = snapshot(weights_of(lm.model), base)
        changed = {name: values for name, values in now.items() if values is not base[name]}
        save_file(changed, part / CHANGED)
        write_json(part / BASE, {**_base(lm, folder), "changed": sorted(changed)})


def _base(lm: LanguageModel, folder: Path) -> dict[str, str]:
    """How the base is found again; the relative path lets a workspace be moved as a whole."""
    local = Path(lm.source).expanduser()
    if not local.is_dir():
        return {"source": lm.source, "relative": "", "hash": lm.hash}
    place = find_folder(lm.source).resolve()
    relative = os.path.relpath(place, folder.resolve())
    return {"source": str(place), "relative": relative, "hash": lm.hash}
