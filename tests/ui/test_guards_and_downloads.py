"""What data says is never interpreted: not as markdown, not as html, not as a spreadsheet formula."""

import pandas as pd
from streamlit.testing.v1 import AppTest

from ui.downloads import csv_bytes
from ui.guards import plain
from ui.theme import number, short


def test_markdown_signs_in_data_lose_their_meaning():
    assert plain("**x** [a](b) <i>") == r"\*\*x\*\* \[a\]\(b\) \<i\>"


def test_a_label_of_a_figure_cannot_carry_html():
    assert short("<b>loud</b> & more") == "&lt;b&gt;loud&lt;/b&gt; &amp; more"
    assert short("x" * 40, 10) == "x" * 9 + "…"


def test_a_cell_that_a_spreadsheet_would_run_is_made_still():
    text = csv_bytes(pd.DataFrame({"a": ["=1+1", "@x", "-3", "- item", "fine"], "b": [-1.5] * 5})).decode()
    assert text.splitlines() == ["a,b", "'=1+1,-1.5", "'@x,-1.5", "-3,-1.5", "'- item,-1.5", "fine,-1.5"]


def test_numbers_have_two_to_three_digits_and_thousands():
    assert [number(v) for v in (1234567, 0.12345, 45.678, None, float("nan"), 0.0000123, 12345.6)] == [
        "1,234,567",
        "0.123",
        "45.7",
        "n/a",
        "n/a",
        "1.23e-05",
        "12,300",
    ]


def test_an_error_of_ours_is_a_sentence_and_ends_the_page():
    def page():
        import streamlit as st

        from core.errors import BadInput
        from ui.guards import sentences

        with sentences():
            raise BadInput("the file a_b is empty; give another")
        st.write("never shown")

    at = AppTest.from_function(page).run()
    assert not at.exception and not at.markdown
    assert at.error[0].value == plain("the file a_b is empty; give another")
