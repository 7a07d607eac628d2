"""Sample continuations of prompts from a causal language model, each row drawing from its own random numbers.

Decoding as in the RealToxicityPrompts protocols (repair-and-evaluation E1): nucleus sampling (Holtzman et
al., "The Curious Case of Neural Text Degeneration", ICLR 2020, arXiv:1904.09751, section 3.1) or greedy.
Prompts of equal token length run together without padding, are read once, and their key-value cache is
repeated per sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.lm.finished import Finished
from core.lm.load import LanguageModel, quiet
from core.lm.nucleus import nucleus
from core.lm.reader import open_reader
from core.lm.tokenise import encode_prompts, start_ids
from core.values import Reporter, Silent
from core.workspace import content_key

if TYPE_CHECKING:
    import torch


COMPACT = 0.75  # drop finished rows once this share or less still runs: every drop copies the whole cache


Row = tuple[int, int]  # number of the prompt, number of the sample


@dataclass(frozen=True)
class _Plan:
    """How each next token is chosen."""

    new_tokens: int
    top_p: float
    temperature: float
    greedy: bool
    stops: tuple[int, ...]


def sample(
    lm: LanguageModel,
    prompts: Sequence[str],
    *,
    samples: int = 1,
    new_tokens: int = 20,
    top_p: float = 0.9,
    temperature: float = 1.0,
    greedy: bool = False,
    prompt_tokens: int = 32,
    seed: int = 0,
    batch: int = 256,
    scratch: Path | None = None,
    key: str = "",
    reporter: Reporter = Silent(),
) -> list[list[str]]:
    """Continuations only, `samples` per prompt in prompt order; a prompt keeps its last `prompt_tokens`.

    A continuation depends on (model, prompt text, its number, seed) alone, up to rounding in the model: not
    on the other prompts, the batch, or how many samples or tokens were asked for. So equal prompts give equal
    texts, and more samples extend the first ones. It ends before the end token; it is "" when it ends at once
    or when the model's output is not finite. Prompts are cut further where prompt and new tokens exceed the
    model's context. `batch` counts rows (prompt x sample) run at once. A decoder cuts off unlikely tokens
    itself: with one, `top_p` is not used.

    What is finished is kept in `scratch` and taken up by a later call with the same prompts, settings and
    `key`, which must name the weights (training in place does not change `lm.hash`).
    Raises BadInput, BadModel, StorageError, and MissingInput where a decoder lacks its reward.
    """
    import torch

    _check(samples, new_tokens, top_p, temperature, prompt_tokens, batch)
    free = lm.context - len(start_ids(lm.tokenizer))
    room = max(1, min(new_tokens, free))
    keep = max(1, min(prompt_tokens, free - room + 1))  # the last new token is never read
    plan = _Plan(room, top_p if lm.decoder is None else 1.0, temperature, greedy, _stops(lm))
    draws = 1 if greedy else samples
    ids = encode_prompts(lm.tokenizer, prompts, keep)
    texts: list[list[str]] = [[""] * draws for _ in prompts]
    done = 0
    identity = _identity(lm, plan, key, seed, draws, prompts, ids) if scratch else ""
    # quiet: nothing is padded here, but transformers takes an end token at the edge for padding and says so
    with Finished(scratch, identity) as finished, quiet(), torch.inference_mode(), _eval_mode(lm.model):
        for part in _parts(ids, draws, batch):
            reporter.progress(done, len(ids) * draws, "continuations")
            made = finished.take(part)
            if made is None:
                uniforms = None if greedy else _uniforms(prompts, part, room, seed)
                made = _decode(lm, _continue(lm, ids, part, uniforms, plan))
                finished.add(part, made)
            for (number, draw), text in zip(part, made, strict=True):
                texts[number][draw] = text
            done += len(part)
    reporter.progress(done, len(ids) * draws, "continuations")
    return [row * samples for row in texts] if greedy else texts


def _parts(ids: Sequence[Sequence[int]], draws: int, batch: int) -> Iterator[list[Row]]:
    """The rows in the order they are made, at most `batch` at a time, all of one prompt length."""
    by_length: dict[int, list[int]] = {}
    for number, tokens in enumerate(ids):
        by_length.setdefault(len(tokens), []).append(number)
    for length in sorted(by_length):
        rows = [(number, draw) for number in by_length[length] for draw in range(draws)]
        for start in range(0, len(rows), batch):
            yield rows[start : start + batch]


def _identity(
    lm: LanguageModel,
    plan: _Plan,
    key: str,
    seed: int,
    draws: int,
    prompts: Sequence[str],
    ids: Sequence[Sequence[int]],
) -> str:
    """Hash of all that decides the texts, but for what `key` stands for."""
    return content_key(
        {
            "key": key,
            "model": lm.hash,
            "decoder": lm.decoder.settings() if lm.decoder else None,
            "plan": asdict(plan),
            "seed": seed,
            "draws": draws,
            "prompts": list(prompts),
            "ids": [list(row) for row in ids],
        }
    )


def unconditional(
    lm: LanguageModel,
    n: int,
    new_tokens: int = 48,
    top_p: float = 0.9,
    seed: int = 0,
    *,
    temperature: float = 1.0,
    batch: int = 256,
    reporter: Reporter = Silent(),
) -> list[str]:
    """`n` texts from the start token alone: the normal text of IRepair (repair-and-evaluation A1)."""
    if n == 0:
        return []
    return sample(
        lm,
        [""],
        samples=n,
        new_tokens=new_tokens,
        top_p=top_p,
        temperature=temperature,
        prompt_tokens=1,
        seed=seed,
        batch=batch,
        reporter=reporter,
    )[0]


def _check(
    samples: int, new_tokens: int, top_p: float, temperature: float, prompt_tokens: int, batch: int
) -> None:
    counts = {
        "samples": samples,
        "new_tokens": new_tokens,
        "prompt_tokens": prompt_tokens,
        "batch": batch,
    }
    for name, value in counts.items():
        if value < 1:
            raise BadInput(f"generation was asked for {name} = {value}; give 1 or more")
    if not 0 < top_p <= 1:
        raise BadInput(f"generation was asked for top_p = {top_p}; give a share above 0 and at most 1")
    if not temperature > 0:
        raise BadInput(
            f"generation was asked for temperature = {temperature}; give more than 0, or greedy instead"
        )


@contextmanager
def _eval_mode(model: Any) -> Iterator[None]:
    """Dropout off while sampling, also in the middle of a training loop."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _stops(lm: LanguageModel) -> tuple[int, ...]:
    """Every id that ends a text: the tokenizer's, and those the model's generation settings add."""
    listed = getattr(getattr(lm.model, "generation_config", None), "eos_token_id", None)
    many = listed if isinstance(listed, (list, tuple)) else [listed]
    return tuple(sorted({int(i) for i in (lm.tokenizer.eos_token_id, *many) if i is not None}))


def _uniforms(prompts: Sequence[str], rows: Sequence[Row], new_tokens: int, seed: int) -> NDArray[np.float32]:
    """Numbers in [0, 1), (rows, new_tokens): a stream per row, named by seed, prompt and sample number."""
    out = np.empty((len(rows), new_tokens), dtype=np.float32)
    for at, (number, draw) in enumerate(rows):
        name = hashlib.sha256(f"{seed}|{draw}|{prompts[number]}".encode("utf-8", "surrogatepass")).digest()
        rng = np.random.default_rng(int.from_bytes(name[:8], "big"))
        out[at] = rng.random(new_tokens, dtype=np.float32)
    return out


def _continue(
    lm: LanguageModel,
    ids: Sequence[Sequence[int]],
    rows: Sequence[Row],
    uniforms: NDArray[np.float32] | None,
    plan: _Plan,
) -> list[list[int]]:
    """New token ids per row, without the end token; all prompts of the rows have one length."""
    import torch

    device = lm.device
    unique = list(dict.fromkeys(number for number, _ in rows))
    place = {number: at for at, number in enumerate(unique)}
    owner = torch.tensor([place[number] for number, _ in rows], device=device)
    draws = None if uniforms is None else torch.from_numpy(uniforms).to(device)
    stops = torch.tensor(plan.stops, dtype=torch.long, device=device)
    new = torch.full((len(rows), plan.new_tokens), -1, dtype=torch.long, device=device)
    reader = open_reader(lm)
    logits = reader.start(torch.tensor([list(ids[number]) for number in unique], device=device), owner)
    running = torch.arange(len(rows), device=device)  # row numbers still fed to the model
    is_open = torch.ones(len(rows), dtype=torch.bool, device=device)  # of those, the ones not ended yet
    for step in range(plan.new_tokens):
        token, finite = _choose(logits, None if draws is None else draws[running, step], plan)
        new[running[~finite & is_open]] = -1  # a broken row counts as failed: nothing of it is kept
        is_open &= finite & ~torch.isin(token, stops)
        new[running[is_open], step] = token[is_open]
        count = int(is_open.sum())
        if count == 0 or step + 1 == plan.new_tokens:
            break
        if count <= COMPACT * len(running):
            left = is_open.nonzero()[:, 0]
            reader.keep(left)
            running, token, is_open = running[left], token[left], is_open[left]
        logits = reader.step(token)
    return [[i for i in row if i >= 0] for row in new.tolist()]


def _choose(
    logits: torch.Tensor, uniforms: torch.Tensor | None, plan: _Plan
) -> tuple[torch.Tensor, torch.Tensor]:
    """One token id per row of logits (r, v), and whether the row's distribution is finite at all."""
    import torch

    scaled = logits.float() if plan.temperature == 1 else logits.float() / plan.temperature
    log_p = scaled.log_softmax(dim=-1)
    finite = torch.isfinite(log_p.amax(dim=-1))
    if uniforms is None:
        return scaled.argmax(dim=-1), finite
    if not finite.all():
        log_p = torch.where(finite[:, None], log_p, 0.0)
    return nucleus(log_p, uniforms, plan.top_p), finite


def _decode(lm: LanguageModel, ids: list[list[int]]) -> list[str]:
    return [
        str(text)
        for text in lm.tokenizer.batch_decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
    ]
