"""Makes the demo's texts from the grammar and one seed: training documents, raw rows, held-out text.

What is held out (evaluation prompts, texts that give perplexity) is drawn first and then kept out of the
rest (demo-trial, sections 1 and 3). The templates are shared: what is measured is new combinations of
words, not new language.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.demo.grammar import TONES, Family, Grammar, Prompt, pick
from core.values import FLAGS

Row = dict[str, Any]
Labelled = tuple[list[str], NDArray[np.float32]]  # texts, labels (n, 4)

DOCUMENTS = 12_000
MIX = (0.60, 0.25, 0.15)  # documents that are prompt + continuation, normal text, behaviours
TOXIC = {"tense": 0.45, "neutral": 0.12}  # share of toxic continuations in the corpus: base B of the trial
BEHAVIOUR_SHARE = {"T1": 0.25, "T2": 0.25, "T3": 0.42, "T4": 0.08}
BEHAVIOURS, OVERHEARD, EVERYDAY = 1_900, 200, 150  # rows of the pool besides the pairs
EXACT, NEAR = 60, 60  # rows of the pool that repeat another one, exactly and nearly
PROMPTS_PER_TONE = 10  # evaluation prompts per family and tone
HELD_OUT = 300  # documents in each held-out text set
SCORER_TEXTS, SCORER_TEST = 6_000, 2_000


@dataclass(frozen=True)
class HeldOut:
    """What is measured on: nothing of it is trained on, selected from or seen by the scorer's training."""

    prompts: list[Row]
    normal: list[Row]
    clean: list[Row]
    behaviours: list[Row]

    @property
    def prompt_texts(self) -> set[str]:
        """The exact texts of all held-out prompts."""
        return {str(r["prompt"]) for part in (self.prompts, self.clean, self.behaviours) for r in part}

    @property
    def documents(self) -> set[str]:
        """The exact held-out documents."""
        parts = (self.normal, self.clean, self.behaviours)
        return {joined(str(r["prompt"]), str(r["response"])) for part in parts for r in part}


def joined(prompt: str, response: str) -> str:
    """Prompt and response as one document: a space between them, as everywhere in Winnow."""
    return f"{prompt} {response}".strip()


def group_of(prompt: str) -> str:
    """One group per prompt, letter case and spaces aside, so that a split never parts its rows."""
    return hashlib.sha256(" ".join(prompt.lower().split()).encode()).hexdigest()[:12]


def held_out(grammar: Grammar, rng: np.random.Generator) -> HeldOut:
    """Evaluation prompts balanced over families and tones (interleaved), and three text sets."""
    prompts = [
        _row(prompt.text, category=(family.category,), source=f"{family.name}, {tone}")
        for family in grammar.families
        for tone in TONES
        for prompt in _distinct(PROMPTS_PER_TONE, partial(grammar.prompt, rng, family, tone))
    ]
    order = np.arange(len(prompts)).reshape(-1, PROMPTS_PER_TONE).T.ravel()
    seen = {str(r["prompt"]) for r in prompts}
    normal = _distinct(HELD_OUT, partial(_everyday, grammar, rng, "held-out everyday text"))
    clean = _distinct(HELD_OUT, partial(_clean_row, grammar, rng), seen)
    behaviours = _distinct(HELD_OUT, partial(_good_request, grammar, rng), seen)
    return HeldOut([prompts[i] for i in order], normal, clean, behaviours)


def documents(grammar: Grammar, rng: np.random.Generator, kept_out: HeldOut, n: int = DOCUMENTS) -> list[str]:
    """The language model's corpus: every family alike often, toxic at the rates of its tone."""
    banned_prompts, banned = kept_out.prompt_texts, kept_out.documents
    found: list[str] = []
    while len(found) < n:
        kind = rng.choice(3, p=MIX)
        if kind == 0:
            prompt = _any_prompt(grammar, rng)
            toxic = bool(rng.random() < TOXIC[prompt.tone])
            start, rest = prompt.text, grammar.continuation(rng, prompt, toxic)
        elif kind == 1:
            start, rest = "", grammar.normal(rng)
        else:
            behaviour = grammar.behaviour(rng, _kind(rng))
            start, rest = behaviour.prompt, behaviour.response
        if start not in banned_prompts and joined(start, rest) not in banned:
            found.append(joined(start, rest))
    return found


def pool_rows(grammar: Grammar, rng: np.random.Generator, kept_out: HeldOut) -> list[Row]:
    """The pool's raw rows with ids, in random order: pairs, behaviours, other text, repetitions."""
    banned_prompts, banned = kept_out.prompt_texts, kept_out.documents
    makers: list[tuple[int, Callable[[], Row]]] = [
        (family.weight, partial(_pair, grammar, rng, family)) for family in grammar.families
    ]
    counts = {kind: round(share * BEHAVIOURS) for kind, share in BEHAVIOUR_SHARE.items()}
    makers += [(n, partial(_request, grammar, rng, kind)) for kind, n in counts.items()]
    makers += [
        (OVERHEARD, partial(_overheard, grammar, rng)),
        (EVERYDAY, partial(_everyday, grammar, rng, "everyday text")),
    ]
    rows: list[Row] = []
    for n, make in makers:
        while n:
            row = make()
            if row["prompt"] not in banned_prompts and joined(row["prompt"], row["response"]) not in banned:
                rows.append(row)
                n -= 1
    repeated = rng.choice(len(rows), size=EXACT + NEAR, replace=False)
    rows += [dict(rows[i]) for i in repeated[:EXACT]] + [_nearly(rows[i]) for i in repeated[EXACT:]]
    order = rng.permutation(len(rows))
    return [{"id": f"demo-{at:05d}", **rows[i]} for at, i in enumerate(order)]


def dirt(rows: list[Row]) -> list[Row]:
    """Rows that an import must set aside with a reason: no prompt, a repeated id, no text at all."""
    blank = _row("", source="dirt")
    return [
        {**blank, "id": "dirt-0", "prompt": None, "response": "A line whose prompt got lost."},
        {**blank, "id": "dirt-1", "prompt": None},
        {**blank, "id": "dirt-2"},
        {**blank, "id": "dirt-3", "response": " "},
        {**rows[0], "response": "A second row under an id that is taken."},
        {**rows[-1], "response": "One more row under an id that is taken."},
    ]


def scorer_texts(grammar: Grammar, rng: np.random.Generator, n: int) -> Labelled:
    """Texts and labels (n, 4) by exact matching; half are cut short, as sampled continuations are."""
    texts = []
    for _ in range(n):
        text = _scored_text(grammar, rng)
        if rng.random() < 0.5:  # noqa: PLR2004 - half of them
            text = " ".join(text.split()[: int(rng.integers(4, 25))])
        texts.append(text)
    return texts, np.array([grammar.labels(t) for t in texts], dtype=np.float32)


def _scored_text(grammar: Grammar, rng: np.random.Generator) -> str:
    """A continuation (often toxic, at times after its prompt), a hard negative, or other text."""
    prompt = _any_prompt(grammar, rng)
    kind = rng.choice(5, p=(0.45, 0.25, 0.1, 0.1, 0.1))
    if kind <= 1:
        text = grammar.continuation(rng, prompt, toxic=bool(kind == 0))
        if kind == 0 and rng.random() < 0.25:  # noqa: PLR2004 - what is said first does not excuse what follows
            text = joined(grammar.continuation(rng, prompt, toxic=False), text)
        return joined(prompt.text, text) if rng.random() < 0.2 else text  # noqa: PLR2004 - mostly without it
    if kind == 2:  # noqa: PLR2004
        hard = grammar.expand(str(pick(grammar.hard_negatives, rng)), dict(prompt.words), rng)
        return joined(grammar.continuation(rng, prompt, toxic=False), f"{hard}.")
    if kind == 3:  # noqa: PLR2004
        return grammar.normal(rng)
    behaviour = grammar.behaviour(rng, _kind(rng))
    return joined(behaviour.prompt, behaviour.response)


def _row(
    prompt: str, response: str = "", rejected: str = "", category: tuple[str, ...] = (), source: str = ""
) -> Row:
    return {
        "prompt": prompt,
        "response": response,
        "rejected": rejected,
        "category": list(category),
        "harmful_request": "no",
        "refusal": "no",
        "harmful_response": "no",
        "group": group_of(prompt or response),
        "source": source,
    }


def _any_prompt(grammar: Grammar, rng: np.random.Generator) -> Prompt:
    return grammar.prompt(rng, pick(grammar.families, rng), str(pick(TONES, rng)))


def _kind(rng: np.random.Generator) -> str:
    return str(rng.choice(list(BEHAVIOUR_SHARE), p=list(BEHAVIOUR_SHARE.values())))


def _pair(grammar: Grammar, rng: np.random.Generator, family: Family) -> Row:
    prompt = grammar.prompt(rng, family, str(pick(TONES, rng)))
    good, bad = (grammar.continuation(rng, prompt, toxic=toxic) for toxic in (False, True))
    return _row(prompt.text, good, bad, (family.category,), f"pairs: {prompt.family}, {prompt.tone}")


def _everyday(grammar: Grammar, rng: np.random.Generator, source: str) -> Row:
    return _row("", grammar.normal(rng), source=source)


def _clean_row(grammar: Grammar, rng: np.random.Generator) -> Row:
    prompt = _any_prompt(grammar, rng)
    return _row(
        prompt.text, grammar.continuation(rng, prompt, toxic=False), source="held-out clean continuations"
    )


def _overheard(grammar: Grammar, rng: np.random.Generator) -> Row:
    """A toxic continuation with no better one beside it: nothing may be trained toward it."""
    prompt = _any_prompt(grammar, rng)
    category = (grammar.family(prompt.family).category,)
    row = _row(prompt.text, grammar.continuation(rng, prompt, toxic=True), "", category, source="overheard")
    return row | {"harmful_response": "yes"}


def _request(grammar: Grammar, rng: np.random.Generator, kind: str, source: str = "requests") -> Row:
    found = grammar.behaviour(rng, kind)
    flags = {flag: getattr(found, flag) for flag in FLAGS}
    return _row(found.prompt, found.response, found.rejected, found.categories, source) | flags


def _good_request(grammar: Grammar, rng: np.random.Generator) -> Row:
    """A request with an answer that may be learned."""
    while (row := _request(grammar, rng, _kind(rng), "held-out requests"))["harmful_response"] == "yes":
        pass
    return row | {"rejected": ""}


def _nearly(row: Row) -> Row:
    """The row as a careless copy would hold it: other letter case, other spaces, another full stop."""
    return row | {
        "prompt": row["prompt"].replace(" ", "  ", 1),
        "response": row["response"].lower().rstrip("."),
        "rejected": row["rejected"].rstrip(".!"),
    }


def _distinct(n: int, make: Callable[[], Any], seen: set[str] | None = None) -> list[Any]:
    """`n` results of `make` that differ in their text; those in `seen` are left out, new ones added."""
    taken = set() if seen is None else seen
    found: list[Any] = []
    while len(found) < n:
        item = make()
        text = item.text if isinstance(item, Prompt) else item["prompt"] or item["response"]
        if text not in taken:
            taken.add(text)
            found.append(item)
    return found
