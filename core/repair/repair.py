"""Repairs a language model with chosen examples by one method: checks, tokenises, trains, saves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.lm.decoders.files import DECODER
from core.lm.load import LanguageModel
from core.repair.base import METHODS, Mask, MethodSpec, Phase, ReferenceMemo, Repaired, RepairParams, Setting
from core.repair.results import InPhase, RepairResult, decoded_hash, joined
from core.repair.scopes import open_scope
from core.repair.texts import Ready, ready
from core.training.checkpoints import Keep, Weights, restore, save, snapshot, weights_hash, weights_of
from core.training.device import enough_memory
from core.training.loop import train
from core.training.parts import Scope, Trained, Watch
from core.training.resume import Checkpoint
from core.values import Example, Params, Reporter, Silent, settings
from core.workspace import content_key, write_json

CODE = 2  # raise it when the same settings come to mean other numbers: older checkpoints are then left


def repair(
    lm: LanguageModel,
    method: str,
    examples: Sequence[Example],
    validation: Sequence[Example],
    *,
    params: Mapping[str, Any] | Params | None = None,
    normal: Sequence[str] = (),
    seed: int = 0,
    folder: Path,
    keep: Keep = "changed",
    reporter: Reporter | None = None,
    masks: Sequence[Mask] = (),
    watch: Watch | None = None,
    scratch: Path | None = None,
    every_s: float = 30.0,
    memo: ReferenceMemo | None = None,
) -> RepairResult:
    """Train `lm.model` in place; afterwards it holds the best weights, and so does FOLDER/model.

    `lm` must hold the weights of `lm.source`, which "changed" saves refer to. `normal` are texts that the
    model writes by itself, for methods with a KL term. `masks` name, per example, the tokens of its response
    and of its rejected text that are penalised, as core.lm.tokenise tokenises that side, joiner included.

    Each phase starts from the untouched weights. A method that only decodes differently leaves the model
    untouched and writes decoder.json, and its phases' weights as side models, into FOLDER/model: with `keep`
    "none" too, because nothing else holds the repair; the caller removes it after use.

    `scratch` is a folder that survives a kill; the same call made again goes on from its checkpoints
    (train-1.safetensors for the first phase, ...), one each `every_s` seconds. `memo` is bound to this model.
    A clean stop through the reporter keeps the best weights. Raises MissingInput when columns, masks or
    normal text are missing, BadInput for rows that the method cannot use. After an error the model's weights
    are not defined.
    """
    spec = METHODS[method]
    chosen = settings(spec.params, params, f"repair method {method!r}")
    rows = ready(lm, spec, chosen, examples, validation, normal, masks)
    before = snapshot(weights_of(lm.model))
    work = _Work(
        lm, method, spec, chosen, rows, seed, before, reporter or Silent(), watch, scratch, every_s, memo
    )
    done, after = work.phases()
    repaired = Repaired(lm, chosen, before, after, folder / "model")
    weights = _decoding(spec, repaired, keep) if spec.decode is not None else _saved(spec, repaired, keep)
    return joined(done, [phase.name for phase in spec.phases], weights, rows.notes)


@dataclass
class _Work:
    """All that the phases of one repair share."""

    lm: LanguageModel
    method: str
    spec: MethodSpec
    params: RepairParams
    rows: Ready
    seed: int
    before: Weights
    reporter: Reporter
    watch: Watch | None
    scratch: Path | None
    every_s: float
    memo: ReferenceMemo | None

    def phases(self) -> tuple[list[Trained], list[Weights]]:
        """Train them one after the other; after a stop by the user the later ones keep untouched weights."""
        done: list[Trained] = []
        after: list[Weights] = []
        for number, phase in enumerate(self.spec.phases, 1):
            if any(trained.interrupted for trained in done):
                after.append(self.before)
                continue
            restore(weights_of(self.lm.model), self.before)
            done.append(self._train(phase, number))
            after.append(snapshot(weights_of(self.lm.model), self.before))
        return done, after

    def _train(self, phase: Phase, number: int) -> Trained:
        setting = Setting(self.lm, self.params, self.rows.normal, self.seed, self.memo)
        what, lower = "what the method holds beside the model", "lora_rank, or take a smaller model"
        kept = self.scratch is not None
        with enough_memory(what, device=self.lm.device, lower=lower, kept=kept):
            objective = phase.build(setting)
            scope = open_scope(self.lm, self.params, self.seed)
        checkpoint = None
        if self.scratch is not None:
            path = self.scratch / f"train-{number}.safetensors"
            checkpoint = Checkpoint(path, self._key(number), self.every_s)
        try:
            return train(
                self.lm,
                objective,
                scope,
                self.rows.train,
                self.rows.held_out,
                params=self.params,
                seed=self.seed,
                before=self.before,
                reporter=InPhase(self.reporter, phase.name) if len(self.spec.phases) > 1 else self.reporter,
                watch=_Plain(self.watch, scope) if self.watch is not None else None,
                checkpoint=checkpoint,
            )
        finally:
            scope.close()

    def _key(self, number: int) -> str:
        """Names all that decides what this phase comes to: rows as their tokens and masks, not as ids."""
        import torch

        texts = hashlib.sha256()
        for pair in (*self.rows.train, *self.rows.held_out):
            texts.update(repr((pair.good, pair.bad, pair.good_mask, pair.bad_mask)).encode())
        for text in self.rows.normal:
            texts.update(repr(text).encode())
        return content_key(
            {
                "code": [CODE, torch.__version__, self.lm.device.partition(":")[0]],
                "model": [self.lm.hash, str(self.lm.model.dtype)],
                "method": [self.method, number],
                "params": self.params.model_dump(mode="json"),
                "seed": self.seed,
                "rows": [len(self.rows.train), len(self.rows.held_out), texts.hexdigest()],
            }
        )


class _Plain:
    """A watch that never sees adapters where it keeps the model: what it writes is a plain one."""

    def __init__(self, watch: Watch, scope: Scope) -> None:
        self.watch, self.scope, self.every = watch, scope, watch.every

    def look(self, step: int) -> Mapping[str, Any]:
        """As the watch does."""
        return self.watch.look(step)

    def keep(self, step: int) -> str:
        """As the watch does, with adapters merged for that moment."""
        plain: AbstractContextManager[None] = getattr(self.scope, "plain", nullcontext)()
        with plain:
            return self.watch.keep(step)


def _saved(spec: MethodSpec, repaired: Repaired, keep: Keep) -> str:
    """Change the weights once more where the method does, and write the model; their hash."""
    now = repaired.after[-1]
    if spec.change is not None:
        spec.change(repaired)
        now = snapshot(weights_of(repaired.lm.model), repaired.before)
    save(repaired.lm, repaired.folder, keep, repaired.before)
    return weights_hash(now)


def _decoding(spec: MethodSpec, repaired: Repaired, keep: Keep) -> str:
    """Write the untouched model, what the method puts beside it, then decoder.json; the hash of it all."""
    weights = weights_of(repaired.lm.model)
    restore(weights, repaired.before)
    save(repaired.lm, repaired.folder, "changed" if keep == "none" else keep, repaired.before)
    assert spec.decode is not None
    said = spec.decode(repaired)
    write_json(repaired.folder / DECODER, said)
    restore(weights, repaired.before)
    return decoded_hash(said, [weights_hash(each) for each in (repaired.before, *repaired.after)])
