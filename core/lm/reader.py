"""Feeds rows of tokens to a model and returns next-token logits, remembering what was read."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from core.lm.load import LanguageModel


class Reader(Protocol):
    """One generation under way; decoders implement it by composing others."""

    def start(self, prompts: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """Read the prompts (u, t) once; row i continues prompt owner[i]. Returns logits (r, vocabulary)."""

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token per row (r,) and return the next logits (r, vocabulary)."""

    def keep(self, rows: torch.Tensor) -> None:
        """Continue with these rows only; a row may be named many times."""


def open_reader(lm: LanguageModel) -> Reader:
    """The model's own logits, changed by its decoder if it has one."""
    if lm.decoder is None:
        return ModelReader(lm.model)
    reader: Reader = lm.decoder.reader(lm)
    return reader


class ModelReader:
    """A model's own logits; remembers by key-value cache where the model has one."""

    def __init__(self, model: Any) -> None:
        self._model = model
        accepted = inspect.signature(model.forward).parameters
        self._options: dict[str, Any] = {}
        if "use_cache" in accepted:
            self._options["use_cache"] = True
        if (
            "logits_to_keep" in accepted
        ):  # else a long prompt's logits over a large vocabulary fill the memory
            self._options["logits_to_keep"] = 1
        self._cache: Any = None
        self._ids: Any = None

    def start(self, prompts: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
        """Read the prompts (u, t) once; row i continues prompt owner[i]. Returns logits (r, vocabulary)."""
        output = self._model(input_ids=prompts, **self._options)
        cache = getattr(output, "past_key_values", None)
        if hasattr(cache, "reorder_cache"):
            self._cache = cache
        self._ids = prompts
        self.keep(owner)
        logits: torch.Tensor = output.logits
        return logits[:, -1][owner]

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append one token per row (r,) and return the next logits (r, vocabulary)."""
        import torch

        if self._cache is not None:
            output = self._model(input_ids=tokens[:, None], past_key_values=self._cache, **self._options)
        else:
            self._ids = torch.cat([self._ids, tokens[:, None]], dim=1)
            output = self._model(input_ids=self._ids, **self._options)
        logits: torch.Tensor = output.logits
        return logits[:, -1]

    def keep(self, rows: torch.Tensor) -> None:
        """Continue with these rows only; a row may be named many times."""
        if self._cache is not None:
            self._cache.reorder_cache(rows)
        else:
            self._ids = self._ids[rows]
