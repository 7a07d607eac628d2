"""Examples at the door of a repair: refused with a sentence, or turned into token ids with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import BadInput, MissingInput
from core.lm.load import LanguageModel
from core.lm.tokenise import Encoded, encode_pairs
from core.repair.base import Mask, MethodSpec, RepairParams
from core.training.parts import Pair
from core.values import Example

NO_MASK: Mask = ((), ())
WHOLE = 1 << 30  # tokens: more than any text has


@dataclass(frozen=True)
class Ready:
    """What a repair trains on, as token ids."""

    train: list[Pair]
    held_out: list[Pair]
    normal: list[Encoded]
    notes: tuple[str, ...]  # what the user should know of these rows, as sentences


def ready(
    lm: LanguageModel,
    spec: MethodSpec,
    params: RepairParams,
    examples: Sequence[Example],
    validation: Sequence[Example],
    normal: Sequence[str],
    masks: Sequence[Mask] = (),
) -> Ready:
    """Check what was given, and tokenise it; validation rows that the method cannot use are left out.

    Raises MissingInput where something is lacking, BadInput where it cannot be used as it is.
    """
    _check(spec, params, examples, normal, masks)
    usable = [e for e in validation if not _lacking(spec, params, e) and not _refusal(spec, e, NO_MASK)]
    train = tokenised(lm, examples, params, masks)
    held_out = tokenised(lm, usable[: params.validation_size], params, first=len(train))
    if spec.idle is not None:
        held_out = [pair for pair in held_out if not spec.idle(pair)]
    return Ready(train, held_out, _normal(lm, normal, params), _notes(lm, spec, params, examples, train))


def tokenised(
    lm: LanguageModel,
    examples: Sequence[Example],
    params: RepairParams,
    masks: Sequence[Mask] = (),
    first: int = 0,
) -> list[Pair]:
    """Both sides of each example as token ids, numbered from `first`; a blank side scores nothing."""
    good = _side(lm, examples, [e.response for e in examples], params)
    bad = _side(lm, examples, [e.rejected for e in examples], params)
    if masks:
        good_masks = _aligned(lm, examples, [e.response for e in examples], [m[0] for m in masks], good)
        bad_masks = _aligned(lm, examples, [e.rejected for e in examples], [m[1] for m in masks], bad)
    else:
        good_masks = bad_masks = [()] * len(examples)
    if params.score_prompt:  # only now: the masks count from where the response begins
        good, bad = ([replace(t, start=1) if t.scored > 0 else t for t in side] for side in (good, bad))
    sides = zip(good, bad, good_masks, bad_masks, strict=True)
    return [Pair(first + number, *row) for number, row in enumerate(sides)]


def _side(
    lm: LanguageModel, examples: Sequence[Example], texts: Sequence[str], params: RepairParams
) -> list[Encoded]:
    encoded = encode_pairs(
        lm.tokenizer,
        [e.prompt for e in examples],
        texts,
        prompt_tokens=params.prompt_tokens,
        response_tokens=params.response_tokens,
        context=lm.context,
        end_token=params.end_token,
    )
    # no end token where there is nothing to end
    return [
        e if text.strip() else Encoded(e.ids[: e.start], e.start, e.cut)
        for e, text in zip(encoded, texts, strict=True)
    ]


def _aligned(
    lm: LanguageModel,
    examples: Sequence[Example],
    texts: Sequence[str],
    masks: Sequence[Sequence[bool]],
    cut: Sequence[Encoded],
) -> list[tuple[bool, ...]]:
    """Each mask as one per token of the cut text: prompt and end token are never penalised.

    A mask must have one value per token of the whole side, or be empty.
    """
    prompts = [e.prompt for e in examples]
    whole = encode_pairs(lm.tokenizer, prompts, texts, response_tokens=WHOLE, context=WHOLE)
    aligned = []
    for example, mask, full, text in zip(examples, masks, whole, cut, strict=True):
        tokens = len(full.ids) - full.start
        if len(mask) not in (0, tokens):
            raise BadInput(
                f"the token mask of {example.id!r} has {len(mask)} values, its text {tokens} tokens; make "
                "the mask again with this model's tokenizer"
            )
        row = [*[False] * text.start, *(bool(m) for m in mask)][: len(text.ids)]
        aligned.append((*row, *[False] * (len(text.ids) - len(row))) if any(row) else ())
    return aligned


def _normal(lm: LanguageModel, texts: Sequence[str], params: Any) -> list[Encoded]:
    """Normal texts as the model wrote them: from a start token on, cut, those without any token left out."""
    if not params.normal:
        return []
    encoded = encode_pairs(
        lm.tokenizer, [""] * len(texts), texts, response_tokens=params.normal_tokens, context=lm.context
    )
    return [text for text in encoded if text.scored > 0]


def _lacking(spec: MethodSpec, params: RepairParams, example: Example) -> list[str]:
    return [column for column in spec.columns(params) if not getattr(example, column).strip()]


def _refusal(spec: MethodSpec, example: Example, mask: Mask) -> str:
    return spec.refuse(example, mask) if spec.refuse is not None else ""


def _notes(
    lm: LanguageModel,
    spec: MethodSpec,
    params: RepairParams,
    examples: Sequence[Example],
    pairs: Sequence[Pair],
) -> tuple[str, ...]:
    """What the settings come to, what was cut, and which rows teach nothing; if all do, that is an error."""
    notes = (*params.notes, *_cut(lm, spec, params, pairs))
    idle = [(e, why) for e, p in zip(examples, pairs, strict=True) if spec.idle and (why := spec.idle(p))]
    if not idle:
        return notes
    first, why = idle[0]
    said = f"{len(idle)} of {len(pairs)} examples teach {spec.title} nothing (first: {first.id!r}: {why})"
    if len(idle) == len(pairs):
        raise BadInput(f"{said}; keep more tokens of a response, or select other rows")
    return (*notes, said)


def _cut(lm: LanguageModel, spec: MethodSpec, params: RepairParams, pairs: Sequence[Pair]) -> list[str]:
    """How many rows were read in part only, and by which limits."""
    both = "rejected" in spec.columns(params) or spec.masks
    count = sum((p.good.cut and p.good.scored > 0) or (both and p.bad.cut) for p in pairs)
    limits = f"{params.prompt_tokens} tokens of a prompt, {params.response_tokens} of a text"
    said = f"{count} of {len(pairs)} examples were cut: {limits}, {lm.context} in all by the model's context"
    return [said] if count else []


def _check(
    spec: MethodSpec,
    params: RepairParams,
    examples: Sequence[Example],
    normal: Sequence[str],
    masks: Sequence[Mask],
) -> None:
    if not examples:
        raise MissingInput(f"{spec.title} was given no examples; select at least one")
    _check_columns(spec, params, examples)
    if params.normal and not any(text.strip() for text in normal):
        raise MissingInput(
            f"{spec.title} needs normal text for its KL term and was given none; sample it from "
            "the model first"
        )
    _check_masks(spec, examples, masks)
    refused = [
        (e, why)
        for e, mask in zip(examples, masks or [NO_MASK] * len(examples), strict=True)
        if (why := _refusal(spec, e, mask))
    ]
    if refused:
        first, why = refused[0]
        raise BadInput(
            f"{spec.title} cannot use {len(refused)} of {len(examples)} rows (first: {first.id!r}: {why}); "
            "leave such rows out, or take another method"
        )


def _check_columns(spec: MethodSpec, params: RepairParams, examples: Sequence[Example]) -> None:
    lacking = [(e, missing) for e in examples if (missing := _lacking(spec, params, e))]
    if lacking:
        first, missing = lacking[0]
        raise MissingInput(
            f"{spec.title} needs the columns {' and '.join(spec.columns(params))} filled; {len(lacking)} of "
            f"{len(examples)} examples lack some (first: {first.id!r} has no {' and no '.join(missing)}); "
            "select rows that have them, or take another method"
        )


def _check_masks(spec: MethodSpec, examples: Sequence[Example], masks: Sequence[Mask]) -> None:
    if spec.masks and not masks:
        raise MissingInput(
            f"{spec.title} needs a token mask, which says what tokens to penalise, and was given none; make "
            "one first, or take supervised fine-tuning (sft), which penalises none"
        )
    if masks and not spec.masks:
        raise BadInput(
            f"{spec.title} penalises no tokens, but was given a token mask; leave it out, or take a method "
            "that uses it (token_penalty)"
        )
    if masks and len(masks) != len(examples):
        raise BadInput(
            f"{spec.title} was given {len(masks)} token masks for {len(examples)} examples; give one per "
            "example, in the same order"
        )
