"""Stored token masks: which tokens of each row's texts a repair is to penalise, and for which tokenizer."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, MissingInput
from core.values import Pool
from core.workspace import Signal, SignalKey, Workspace, content_key, read_json

STAGE = "token_mask"
SIDES = ("response", "rejected")
Mask = tuple[bool, ...]


@dataclass(frozen=True)
class TokenMasks:
    """Masks of every row of one pool: per side, values over all tokens and where each row's begin."""

    values: dict[str, NDArray[np.bool_]]  # side -> (tokens,)
    offsets: dict[str, NDArray[np.int64]]  # side -> (n + 1,)

    def of(self, row: int) -> tuple[Mask, Mask]:
        """The masks of pool row `row`: over the tokens of its response, and of its rejected text."""
        response, rejected = (self._side(side, row) for side in SIDES)
        return response, rejected

    def _side(self, side: str, row: int) -> Mask:
        begin, end = self.offsets[side][row : row + 2]
        return tuple(self.values[side][begin:end].tolist())


def tokenizer_hash(tokenizer: Any) -> str:
    """Names how a tokenizer cuts text; two that cut alike have one hash, whatever was padded last."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return content_key([type(tokenizer).__name__, tokenizer.get_vocab()])
    said = json.loads(backend.to_str())
    return content_key({name: said[name] for name in said if name not in ("truncation", "padding")})


def write_token_mask(
    ws: Workspace,
    pool: Pool,
    response_masks: Sequence[Sequence[bool]],
    rejected_masks: Sequence[Sequence[bool]],
    tokenizer: str,
    made_by: str,
) -> str:
    """Store one mask per row and side, True = penalised, () = none; returns the key that a repair names.

    The tokens are those of the side alone as core.lm.tokenise reads it, joiner included, from its first one
    on; `tokenizer` is their tokenizer's `tokenizer_hash`, `made_by` says in a word what found them.
    """
    started = time.perf_counter()
    arrays: dict[str, NDArray[Any]] = {}
    for side, masks in zip(SIDES, (response_masks, rejected_masks), strict=True):
        if len(masks) != len(pool):
            raise BadInput(
                f"the {side} masks are {len(masks):,}, pool {pool.name!r} has {len(pool):,} rows; give one "
                "per row, empty where nothing is penalised"
            )
        arrays[f"{side}_offsets"] = np.cumsum([0, *(len(m) for m in masks)], dtype=np.int64)
        arrays[f"{side}_values"] = np.array([bool(v) for m in masks for v in m], dtype=np.uint8)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())
    key = SignalKey(
        stage=STAGE,
        method=made_by,
        pool=pool.fingerprint,
        inputs={"tokenizer": tokenizer, "masks": digest.hexdigest()[:16]},
        dtype="uint8",
    )
    facts = {"tokenizer": tokenizer, "pool": pool.name, "penalised": int(_penalised(arrays))}
    ws.signals.put(key, arrays, facts=facts, started=started)
    return key.digest


def read_token_mask(ws: Workspace, digest: str, pool: Pool, tokenizer: str) -> TokenMasks:
    """The stored masks of this pool's rows; a mask of other rows or another tokenizer is refused."""
    folder = ws.find("signals", STAGE, digest) if digest else None
    if folder is None or not (folder / "manifest.json").is_file():
        raise MissingInput(
            f"there is no token mask {digest!r} in {ws.root}; score the pool's tokens by influence and keep "
            "the mask, or write one with core.pipeline.token_masks.write_token_mask"
        )
    manifest = read_json(folder / "manifest.json")
    signal = Signal(SignalKey.model_validate(manifest["key"]), folder, manifest)
    if signal.key.pool != pool.fingerprint:
        raise BadInput(
            f"token mask {digest} was made for pool {signal.facts['pool']!r} with other rows than "
            f"{pool.name!r} has now; make the mask again for this pool"
        )
    if signal.facts["tokenizer"] != tokenizer:
        raise BadInput(
            f"token mask {digest} was made with another tokenizer than the repaired model's, so its marks "
            "would fall on other tokens; make the mask again with this model"
        )
    return TokenMasks(
        {side: np.asarray(signal.array(f"{side}_values"), dtype=bool) for side in SIDES},
        {side: np.asarray(signal.array(f"{side}_offsets")) for side in SIDES},
    )


def _penalised(arrays: dict[str, NDArray[Any]]) -> int:
    return sum(int(arrays[f"{side}_values"].sum()) for side in SIDES)
