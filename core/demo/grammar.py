"""Expands the demo's grammar (grammar.json) into sentences, and recognises its toxic ones by exact matching.

A template holds `{slot}`s; a slot is filled from the word list of its name. People, things and places stay
the same within one example, so that an answer can speak of what its prompt named; other words are drawn anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.values import Frozen

SOURCE = Path(__file__).with_name("grammar.json")
SLOT = re.compile(r"\{(\w+)\}")
KEPT = ("name", "role", "item", "place", "town", "group", "folk")  # the same word all through one example
LABELS = ("toxicity", "insult", "threat", "identity_attack")  # detoxify's names
TONES = ("tense", "neutral")

LATER_CLEAN = 0.15  # share of later clauses in a toxic continuation that are clean (demo-trial, section 1)
HARD_NEGATIVE = 0.08  # share of clauses in a clean continuation that only sound toxic
OWN_CLEAN = 0.7  # share of clean clauses that belong to the prompt's own family
PAIRED = 0.5  # share of refusals (T1) that come with the bad answer beside them
COMPLIES = 0.6  # share of answers to a harmful request (T2) that comply
SAYS_IT = 0.5  # share of these that hold a toxic line, where the request was for words
LOUD = 0.4  # share of toxic sentences that end in "!"
CLAUSES = (0.35, 0.4, 0.25)  # chances of one, two and three clauses


class Family(Frozen):
    """One kind of situation: its prompts, and what is said next, for better (clean) or worse (toxic)."""

    name: str
    category: str  # the harm category of its toxic clauses
    labels: tuple[str, ...]  # the scorer's labels these clauses get, besides toxicity
    weight: int  # rows in the pool
    tense: tuple[str, ...]
    neutral: tuple[str, ...]
    toxic: tuple[str, ...]
    clean: tuple[str, ...]

    def prompts(self, tone: str) -> tuple[str, ...]:
        """The prompt templates of one tone."""
        return self.tense if tone == "tense" else self.neutral


@dataclass(frozen=True)
class Prompt:
    """A prompt with the words it fixed for its continuation."""

    text: str
    family: str
    tone: str
    words: Mapping[str, str]


@dataclass(frozen=True)
class Behaviour:
    """A request with its answer and the three flags (behaviour-and-prism 2.2)."""

    prompt: str
    response: str
    rejected: str
    categories: tuple[str, ...]
    harmful_request: str
    refusal: str
    harmful_response: str


@dataclass(frozen=True)
class Grammar:
    """All words and templates, and how they become text."""

    words: Mapping[str, tuple[str, ...]]
    families: tuple[Family, ...]
    shared_clean: tuple[str, ...]
    hard_negatives: tuple[str, ...]
    openings: tuple[str, ...]
    follow_ups: tuple[str, ...]
    behaviours: Mapping[str, Any]

    @staticmethod
    def load(path: Path = SOURCE) -> Grammar:
        """The grammar of the file."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Grammar(
            words={slot: tuple(words) for slot, words in raw["words"].items()},
            families=tuple(Family.model_validate(f) for f in raw["families"]),
            shared_clean=tuple(raw["clean"]),
            hard_negatives=tuple(raw["hard_negatives"]),
            openings=tuple(raw["normal"]["openings"]),
            follow_ups=tuple(raw["normal"]["follow_ups"]),
            behaviours=raw["behaviours"],
        )

    def family(self, name: str) -> Family:
        """The family of that name."""
        return next(f for f in self.families if f.name == name)

    @property
    def categories(self) -> tuple[str, ...]:
        """All harm categories, those of the families first."""
        acts = [c for act in self.behaviours["acts"] for c in act["categories"]]
        return tuple(dict.fromkeys([*(f.category for f in self.families), *acts]))

    def expand(self, template: str, words: dict[str, str], rng: np.random.Generator) -> str:
        """The template with its slots filled; words that stay the same are kept in `words`."""

        def fill(slot: re.Match[str]) -> str:
            name = slot[1]
            if name in words:
                return words[name]
            word = str(pick(self.words[name], rng))
            if name in KEPT:
                words[name] = word
            return word

        return SLOT.sub(fill, template)

    def prompt(self, rng: np.random.Generator, family: Family, tone: str) -> Prompt:
        """One prompt of the family in a tense or neutral tone."""
        words: dict[str, str] = {}
        text = self.expand(pick(family.prompts(tone), rng), words, rng)
        return Prompt(text, family.name, tone, words)

    def continuation(self, rng: np.random.Generator, prompt: Prompt, toxic: bool) -> str:
        """What follows the prompt: one to three clauses, of which a toxic continuation's first is toxic."""
        family, words = self.family(prompt.family), dict(prompt.words)
        said: dict[str, str] = {}  # template -> sentence: nobody says the same twice
        for i in range(1 + int(rng.choice(len(CLAUSES), p=CLAUSES))):
            bad = toxic and (i == 0 or rng.random() >= LATER_CLEAN)
            template = pick(family.toxic, rng) if bad else self._clean_template(rng, family, toxic)
            end = "!" if bad and rng.random() < LOUD else "."
            said.setdefault(template, self._sentence(template, words, rng, end))
        return " ".join(said.values())

    def _clean_template(self, rng: np.random.Generator, family: Family, toxic: bool) -> str:
        if not toxic and rng.random() < HARD_NEGATIVE:
            return str(pick(self.hard_negatives, rng))
        return str(pick(family.clean if rng.random() < OWN_CLEAN else self.shared_clean, rng))

    def _sentence(
        self, template: str, words: dict[str, str], rng: np.random.Generator, end: str = "."
    ) -> str:
        text = self.expand(template, words, rng)
        return text if text[-1] in ".!?" else text + end

    def normal(self, rng: np.random.Generator) -> str:
        """A short everyday narrative, never toxic: an opening and one to three more sentences."""
        words: dict[str, str] = {}
        more = rng.choice(len(self.follow_ups), size=1 + rng.choice(3), replace=False)
        templates = [pick(self.openings, rng), *(self.follow_ups[i] for i in more)]
        return " ".join(self.expand(t, words, rng) for t in templates)

    def behaviour(self, rng: np.random.Generator, kind: str) -> Behaviour:
        """A request of type T1 (harmful, refused), T2 (harmful, answered), T3 (benign, answered) or T4.

        A T2 answer complies (a bad response) or explains why not (a good one); half of the T1 rows carry the
        bad answer as well, as the one to be rejected.
        """
        table, words = self.behaviours, dict[str, str]()
        if kind in ("T3", "T4"):
            topic = pick(table["benign"], rng)
            act, categories = topic["request"], ()
            replies = topic["answers"] if kind == "T3" else table["over_refusals"]
        else:
            weights = np.array([a["weight"] for a in table["acts"]], dtype=float)
            chosen = table["acts"][rng.choice(len(weights), p=weights / weights.sum())]
            act, categories = pick(chosen["text"], rng), tuple(chosen["categories"])
            replies = table["refusals"] if kind == "T1" else table["explanations"]
        act = self.expand(act, words, rng)
        prompt = self.expand(pick(table["requests"], rng), {"act": act}, rng)
        response = self.expand(pick(replies, rng), words | {"act": act}, rng)
        rejected, bad = "", "no"
        if kind == "T1" and rng.random() < PAIRED:
            rejected = self._compliance(rng, categories, words)
        elif kind == "T2" and rng.random() < COMPLIES:
            response, bad = self._compliance(rng, categories, words), "yes"
        asked, refused = ("yes" if kind in ("T1", "T2") else "no"), ("yes" if kind in ("T1", "T4") else "no")
        return Behaviour(prompt, response, rejected, categories, asked, refused, bad)

    def _compliance(self, rng: np.random.Generator, categories: Sequence[str], words: dict[str, str]) -> str:
        """A mild yes: it explains nothing; where words were asked for, half of the time a toxic line."""
        family = next((f for f in self.families if f.category == categories[-1]), None)
        if family is None or rng.random() >= SAYS_IT:
            return self.expand(pick(self.behaviours["compliances"], rng), words, rng)
        clause = self._sentence(pick(family.toxic, rng), words, rng)
        return str(self.behaviours["compliance_with_text"]).format(clause=clause)

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        """Category -> what any of its toxic clauses looks like."""

        def pattern(template: str) -> str:
            parts = SLOT.split(template)  # text, slot, text, slot ... text
            return "".join(
                "(?:" + "|".join(map(re.escape, self.words[part])) + ")" if i % 2 else re.escape(part)
                for i, part in enumerate(parts)
            )

        return {
            f.category: re.compile(r"\b(?:" + "|".join(map(pattern, f.toxic)) + r")\b") for f in self.families
        }

    def toxic_categories(self, text: str) -> tuple[str, ...]:
        """The categories of the toxic clauses that stand in the text, whole and word for word."""
        return tuple(c for c, pattern in self._patterns.items() if pattern.search(text))

    def is_toxic(self, text: str) -> bool:
        """Whether a toxic clause of the grammar stands in the text: truth by construction."""
        return bool(self.toxic_categories(text))

    def labels(self, text: str) -> list[float]:
        """The scorer's targets for the text, (len(LABELS),) of 0 or 1."""
        found = self.toxic_categories(text)
        named = {label for f in self.families if f.category in found for label in f.labels}
        return [float(bool(found)), *(float(label in named) for label in LABELS[1:])]


def pick(options: Sequence[Any], rng: np.random.Generator) -> Any:
    """One of the options, all equally likely."""
    return options[int(rng.integers(len(options)))]
