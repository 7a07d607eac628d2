"""Masking: what leaves the server shows first letters only, for every row not known to be benign."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.values import Pool
from ui.masking import DOT, Mask, benign, mask


def small_pool(**columns):
    """Three rows: benign, with a category, with a flag; overridden by `columns`."""
    n = len(next(iter(columns.values()), [0, 0, 0]))
    base = {
        "id": [f"r{i}" for i in range(n)],
        "prompt": ["Hello there"] * n,
        "response": ["Good morning"] * n,
        "rejected": [""] * n,
        "category": [[] for _ in range(n)],
        "harmful_request": ["no"] * n,
        "refusal": ["no"] * n,
        "harmful_response": ["no"] * n,
    }
    return Pool("small", pd.DataFrame(base | columns), "f" * 64, "s")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("You silly goose", f"You s{DOT * 4} g{DOT * 4}"),
        ("a cat in 2024", "a cat in 2024"),
        ("don't, can't!", f"d{DOT * 4}, c{DOT * 4}!"),
        ("sill\u200by", f"s{DOT * 4}"),
        ("bl4h 4chan", f"b{DOT * 3} 4{DOT * 4}"),
        ("Zürich café", f"Z{DOT * 5} c{DOT * 3}"),
        ("cafe\u0301s", f"c{DOT * 4}"),
        ("snake_case_word", f"s{DOT * 14}"),
    ],
)
def test_a_word_of_four_letters_keeps_its_first_letter_only(text, shown):
    assert mask(text) == shown


@given(st.text(max_size=80))
def test_no_run_of_four_letters_survives_in_any_text(text):
    runs = "".join(c if c.isalpha() else " " for c in mask(text)).split()
    assert max(map(len, runs), default=0) < 4


@given(st.text(max_size=80))
def test_masking_twice_changes_nothing_more(text):
    assert mask(mask(text)) == mask(text)


def test_a_row_without_a_score_is_never_benign():
    pool = small_pool(prompt=["a", "b"])
    assert not benign(pool, None).any()
    assert benign(pool, np.array([0.1, np.nan])).tolist() == [True, False]


def test_category_toxicity_and_flags_each_hide_a_row():
    pool = small_pool(category=[[], ["threat"], [], []], harmful_request=["no", "no", "yes", "no"])
    assert benign(pool, np.array([0.19, 0.0, 0.0, 0.2])).tolist() == [True, False, False, False]


def test_a_pair_needs_both_sides_scored_before_it_is_shown():
    pool = small_pool(rejected=["nasty words", "nasty words", ""])
    low = np.array([0.1, 0.1, 0.1])
    assert benign(pool, low).tolist() == [False, False, True]
    assert benign(pool, low, np.array([0.1, 0.9, np.nan])).tolist() == [True, False, True]


def test_keywords_are_plain_only_where_every_row_is_benign():
    seen = Mask(np.array([True, True, False]))
    assert seen.words(["garden", "tea"], [0, 1]) == ["garden", "tea"]
    assert seen.words(["garden", "tea"], [1, 2]) == [f"g{DOT * 5}", "tea"]


def test_the_switch_reveals_rows_keywords_and_log_lines_alike():
    shown = Mask(np.array([False]), revealed=True)
    assert shown.text("secret words", 0) == "secret words"
    assert shown.words(["secret"], [0]) == ["secret"]
    assert shown.line("secret") == "secret" and Mask(np.array([False])).line("secret") != "secret"
