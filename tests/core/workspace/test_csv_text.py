"""No text in a csv runs as a formula; numbers and plain text stay what they are."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workspace import csv_bytes

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - OWASP's list


def cells(frame):
    return list(csv.reader(io.StringIO(csv_bytes(frame).decode(), newline="")))


@pytest.mark.parametrize("start", STARTS)
def test_text_that_begins_like_a_formula_gets_an_apostrophe(start):
    assert cells(pd.DataFrame({"a": [f"{start}1+1"]}))[1] == [f"'{start}1+1"]


@pytest.mark.parametrize("text", ["-3", "-1.5", "-.5", "-2e-7", "", "a=1", "1-2", "'quoted", " =1"])
def test_a_negative_number_and_plain_text_stay(text):
    assert cells(pd.DataFrame({"a": [text, "x"]}))[1] == [text]


@pytest.mark.parametrize("text", ["-3+1", "-1.5*A1", "-2+cmd|' /C calc'!A0", "- item", "-", "-٣"])
def test_a_formula_that_begins_with_a_negative_number_is_none_the_less_one(text):
    assert cells(pd.DataFrame({"a": [text]}))[1] == [f"'{text}"]


def test_numbers_are_not_touched_and_headers_are():
    frame = pd.DataFrame({"=a": [-1.5, 2.0], "b": [True, False]})
    assert csv_bytes(frame).decode().splitlines() == ["'=a,b", "-1.5,True", "2.0,False"]


def test_a_line_break_inside_a_text_begins_no_row():
    assert cells(pd.DataFrame({"a": ["x\r=1+1", "y\n=1+1"]})) == [["a"], ["x\r=1+1"], ["y\n=1+1"]]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_only_the_first_character_is_ever_put_in_front(text):
    [_, [shown]] = cells(pd.DataFrame({"a": [text]}))
    assert shown in (text, f"'{text}")
    assert not shown.startswith(STARTS) or float(shown) <= 0  # "-0" is a number too
