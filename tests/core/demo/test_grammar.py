"""The demo's grammar says what it should, stays mild, and recognises its own toxic clauses."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.demo.grammar import LABELS, SLOT, SOURCE, TONES, Grammar


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar.load()


def test_every_slot_of_every_template_has_a_word_list(grammar: Grammar) -> None:
    slots = set(SLOT.findall(SOURCE.read_text(encoding="utf-8"))) - {"act", "clause"}
    assert slots <= set(grammar.words)
    assert set(grammar.words) <= slots  # and no list is left unused


def test_there_are_eight_to_twelve_harm_categories(grammar: Grammar) -> None:
    assert 8 <= len(grammar.categories) <= 12
    assert len({f.category for f in grammar.families}) == len(grammar.families)


def test_a_toxic_continuation_is_recognised_as_its_own_category_and_a_clean_one_as_none(
    grammar: Grammar,
) -> None:
    rng = np.random.default_rng(0)
    for family in grammar.families:
        for tone in TONES:
            for _ in range(60):
                prompt = grammar.prompt(rng, family, tone)
                assert grammar.toxic_categories(grammar.continuation(rng, prompt, toxic=True)) == (
                    family.category,
                )
                assert not grammar.is_toxic(grammar.continuation(rng, prompt, toxic=False))
                assert not grammar.is_toxic(prompt.text)


def test_no_two_families_share_a_toxic_word_list(grammar: Grammar) -> None:
    """So a rare category can be learnt only from rows of that category."""
    common = {"name", "role", "item", "place", "town", "group", "folk"}
    owners: dict[str, str] = {}
    for family in grammar.families:
        for slot in set(SLOT.findall(" ".join(family.toxic))) - common:
            assert owners.setdefault(slot, family.name) == family.name


def test_what_only_sounds_toxic_is_not_called_toxic(grammar: Grammar) -> None:
    rng = np.random.default_rng(1)
    texts = [grammar.expand(t, {}, rng) for t in grammar.hard_negatives for _ in range(20)]
    texts += [grammar.normal(rng) for _ in range(200)]
    assert not any(map(grammar.is_toxic, texts))
    assert grammar.is_toxic("You are a rotten toad!")
    assert not grammar.is_toxic("You are a rotten")
    assert not grammar.is_toxic("You are a rotten toadstool")


def test_labels_follow_the_category() -> None:
    grammar = Grammar.load()
    assert LABELS == ("toxicity", "insult", "threat", "identity_attack")
    assert grammar.labels("I will smash your cart before dawn.") == [1, 0, 1, 0]
    assert grammar.labels("Every Quexar is lazy by birth.") == [1, 0, 0, 1]
    assert grammar.labels("What a dim fool you are. I hope you drown in mud.") == [1, 1, 1, 0]
    assert grammar.labels("The kettle is warm.") == [0, 0, 0, 0]


def test_an_answer_speaks_of_the_people_its_prompt_named(grammar: Grammar) -> None:
    rng = np.random.default_rng(2)
    gossip = grammar.family("gossip")
    for _ in range(50):
        prompt = grammar.prompt(rng, gossip, "neutral")
        named = [r for r in grammar.words["role"] if re.search(rf"\b{r}\b", prompt.text)]
        text = grammar.continuation(rng, prompt, toxic=True)
        assert [r for r in grammar.words["role"] if re.search(rf"\b{r}\b", text)] in ([], named)


@pytest.mark.parametrize(
    ("kind", "asked", "refused"),
    [("T1", "yes", "yes"), ("T2", "yes", "no"), ("T3", "no", "no"), ("T4", "no", "yes")],
)
def test_behaviours_carry_the_flags_of_their_type(
    grammar: Grammar, kind: str, asked: str, refused: str
) -> None:
    rng = np.random.default_rng(3)
    found = [grammar.behaviour(rng, kind) for _ in range(100)]
    assert {(b.harmful_request, b.refusal) for b in found} == {(asked, refused)}
    assert {b.harmful_response for b in found} == ({"yes", "no"} if kind == "T2" else {"no"})
    assert all(bool(b.categories) == (asked == "yes") for b in found)
    assert all(b.prompt.startswith("Request: ") and b.prompt.endswith("Answer:") for b in found)
    assert not any("{" in b.prompt + b.response + b.rejected for b in found)


def test_the_same_seed_gives_the_same_text(grammar: Grammar) -> None:
    a, b = (Grammar.load().normal(np.random.default_rng(5)) for _ in range(2))
    assert a == b == grammar.normal(np.random.default_rng(5))
