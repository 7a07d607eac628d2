"""Repairs a language model with chosen examples by one method: checks, tokenises, trains, saves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import MissingInput
from core.lm.load import LanguageModel
from core.lm.tokenise import Encoded, encode_pairs
from core.repair.base import METHODS, KLParams, MethodSpec, RepairParams, Setting
from core.repair.scopes import open_scope
from core.training.checkpoints import Keep, save, snapshot, weights_hash, weights_of
from core.training.loop import Pair, train
from core.values import Example, Frozen, Params, Reporter, Silent, settings


class RepairResult(Frozen):
    """What a repair did and what it took."""

    steps: int
    best_step: int  # whose weights the model holds now; 0 = nothing was better than the untouched model
    stopped_early: str  # the reason as a sentence; empty = all steps were done
    interrupted: bool  # whether that reason is the user
    seconds: float
    tokens: int  # real tokens looked at, padding left out
    tokens_per_second: float
    peak_bytes: int  # of the CUDA device, else of the process
    losses: tuple[float, ...]  # one per step
    validations: tuple[tuple[int, float], ...]  # (step, value), lower is better
    block_counts: dict[int, int]  # how often each block was chosen; empty where all weights move
    final: dict[str, float]  # loss parts of the last step
    weights: str  # hash of the repaired weights


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
) -> RepairResult:
    """Train `lm.model` in place; afterwards it holds the best weights, and so does FOLDER/model.

    `lm` must hold the weights of `lm.source`, which "changed" saves refer to. `normal` are texts that the
    model writes by itself, for methods with a KL term. A clean stop through the reporter keeps the best
    weights. Raises MissingInput when columns or normal text are missing.
    """
    spec = METHODS[method]
    chosen = settings(spec.params, params, f"repair method {method!r}")
    _check(spec, chosen, examples, normal)
    usable = [e for e in validation if not _lacking(spec, chosen, e)][: chosen.validation_size]
    pairs = tokenised(lm, [*examples, *usable], chosen)
    before = snapshot(weights_of(lm.model))
    (phase,) = spec.phases
    objective = phase.build(Setting(lm, chosen, _normal(lm, normal, chosen), seed))
    scope = open_scope(lm, chosen)
    done = train(
        lm,
        objective,
        scope,
        pairs[: len(examples)],
        pairs[len(examples) :],
        params=chosen,
        seed=seed,
        before=before,
        reporter=reporter or Silent(),
    )
    scope.close()
    save(lm, folder / "model", keep, before)
    return RepairResult(
        steps=done.steps,
        best_step=done.best_step,
        stopped_early=done.stopped_early,
        interrupted=done.interrupted,
        seconds=done.seconds,
        tokens=done.tokens,
        tokens_per_second=done.tokens / done.seconds,
        peak_bytes=done.peak_bytes,
        losses=tuple(done.losses),
        validations=tuple(done.validations),
        block_counts=dict(sorted(done.block_counts.items())),
        final=done.final,
        weights=weights_hash(snapshot(weights_of(lm.model), before)),
    )


def tokenised(lm: LanguageModel, examples: Sequence[Example], params: RepairParams) -> list[Pair]:
    """Both sides of each example as token ids; a side that is not there scores nothing."""
    prompts = [e.prompt for e in examples]

    def side(texts: list[str]) -> list[Encoded]:
        return encode_pairs(
            lm.tokenizer,
            prompts,
            texts,
            prompt_tokens=params.prompt_tokens,
            response_tokens=params.response_tokens,
            context=lm.context,
            end_token=params.end_token,
            score_prompt=params.score_prompt,
        )

    sides = zip(side([e.response for e in examples]), side([e.rejected for e in examples]), strict=True)
    return [Pair(number, good, bad) for number, (good, bad) in enumerate(sides)]


def _normal(lm: LanguageModel, texts: Sequence[str], params: RepairParams) -> list[Encoded]:
    """Normal texts as the model wrote them: from a start token on, cut, those without any token left out."""
    if not isinstance(params, KLParams):
        return []
    encoded = encode_pairs(
        lm.tokenizer, [""] * len(texts), texts, response_tokens=params.normal_tokens, context=lm.context
    )
    return [text for text in encoded if text.scored > 0]


def _lacking(spec: MethodSpec, params: RepairParams, example: Example) -> list[str]:
    return [column for column in spec.columns(params) if not getattr(example, column).strip()]


def _check(
    spec: MethodSpec, params: RepairParams, examples: Sequence[Example], normal: Sequence[str]
) -> None:
    if not examples:
        raise MissingInput(f"{spec.title} was given no examples; select at least one")
    lacking = [(e, missing) for e in examples if (missing := _lacking(spec, params, e))]
    if lacking:
        first, missing = lacking[0]
        raise MissingInput(
            f"{spec.title} needs the columns {' and '.join(spec.columns(params))} filled; {len(lacking)} of "
            f"{len(examples)} examples lack some (first: {first.id!r} has no {' and no '.join(missing)}); "
            "select rows that have them, or take another method"
        )
    if params.normal and not any(text.strip() for text in normal):
        raise MissingInput(
            f"{spec.title} needs normal text for its KL term and was given none; sample it from "
            "the model first"
        )
