"""The demo's texts: skewed pool, milder toxic rates, nothing held out is seen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.demo import corpus
from core.demo.grammar import Grammar


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar.load()


@pytest.fixture(scope="module")
def held(grammar: Grammar) -> corpus.HeldOut:
    return corpus.held_out(grammar, np.random.default_rng(0))


@pytest.fixture(scope="module")
def rows(grammar: Grammar, held: corpus.HeldOut) -> list[corpus.Row]:
    return corpus.pool_rows(grammar, np.random.default_rng(1), held)


def test_evaluation_prompts_are_balanced_even_in_any_first_part(
    grammar: Grammar, held: corpus.HeldOut
) -> None:
    sources = [row["source"] for row in held.prompts]
    per_round = 2 * len(grammar.families)
    assert len(set(sources)) == per_round
    assert Counter(sources[: 3 * per_round]) == dict.fromkeys(sources, 3)
    assert all(len(row["category"]) == 1 and row["response"] == "" for row in held.prompts)


def test_nothing_held_out_is_trained_on_or_selected_from(
    grammar: Grammar, held: corpus.HeldOut, rows: list[corpus.Row]
) -> None:
    documents = corpus.documents(grammar, np.random.default_rng(2), held, 3_000)
    assert not any(document.startswith(prompt) for prompt in held.prompt_texts for document in documents)
    assert not held.documents & set(documents)
    assert not held.prompt_texts & {row["prompt"] for row in rows}
    groups = {row["group"] for part in (held.prompts, held.normal, held.clean) for row in part}
    assert not groups & {row["group"] for row in rows}


def test_the_corpus_is_toxic_at_the_milder_rates_of_its_tone(grammar: Grammar, held: corpus.HeldOut) -> None:
    share = np.mean(
        [grammar.is_toxic(d) for d in corpus.documents(grammar, np.random.default_rng(3), held, 4_000)]
    )
    assert share == pytest.approx(0.6 * (0.45 + 0.12) / 2, abs=0.03)  # and a little from compliant answers


def test_the_pool_is_skewed_and_holds_every_kind_of_row(grammar: Grammar, rows: list[corpus.Row]) -> None:
    pairs = [r for r in rows if r["source"].startswith("pairs")]
    sizes = Counter(r["category"][0] for r in pairs)
    assert 5_500 <= len(rows) <= 6_500 and 3_600 <= len(pairs) <= 4_200
    assert sizes["insult"] > 15 * sizes["blackmail"] > 0
    assert all(grammar.is_toxic(r["rejected"]) and not grammar.is_toxic(r["response"]) for r in pairs)
    flags = ("harmful_request", "refusal")
    types = Counter(tuple(r[f] for f in flags) for r in rows if r["source"] == "requests")
    total = types.total()
    for flag, share in {
        ("yes", "yes"): 0.25,
        ("yes", "no"): 0.25,
        ("no", "no"): 0.42,
        ("no", "yes"): 0.08,
    }.items():
        assert types[flag] / total == pytest.approx(share, abs=0.01)
    assert {c for r in rows for c in r["category"]} == set(grammar.categories)
    assert any(len(r["category"]) > 1 for r in rows)


def test_the_pool_repeats_rows_exactly_under_other_ids(rows: list[corpus.Row]) -> None:
    counts = Counter((r["prompt"], r["response"], r["rejected"]) for r in rows)
    assert sum(n - 1 for n in counts.values()) >= corpus.EXACT
    assert len({r["id"] for r in rows}) == len(rows)


def test_near_copies_stay_in_the_group_of_their_model(rows: list[corpus.Row]) -> None:
    spaced = [r for r in rows if "  " in r["prompt"]]
    assert spaced
    assert all(r["group"] == corpus.group_of(r["prompt"]) for r in spaced)


def test_labels_of_scorer_texts_are_the_truth_and_both_kinds_are_common(grammar: Grammar) -> None:
    texts, labels = corpus.scorer_texts(grammar, np.random.default_rng(4), 500)
    assert labels.shape == (500, 4)
    assert [bool(v) for v in labels[:, 0]] == [grammar.is_toxic(t) for t in texts]
    assert 0.25 < labels[:, 0].mean() < 0.6
    assert (labels[:, 1:].sum(axis=0) > 20).all()


def test_the_same_seed_gives_the_same_rows(
    grammar: Grammar, held: corpus.HeldOut, rows: list[corpus.Row]
) -> None:
    assert corpus.pool_rows(grammar, np.random.default_rng(1), held) == rows
