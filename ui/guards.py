"""What a page shows when something is missing or wrong: a sentence, and the way to what makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.errors import WinnowError

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:<>])")


def plain(text: str) -> str:
    """The text with every markdown sign escaped: what data says is never interpreted."""
    return SPECIAL.sub(r"\\\1", text)


@contextmanager
def sentences() -> Iterator[None]:
    """Show a WinnowError raised inside as one sentence and stop the page there; other errors are our bugs."""
    try:
        yield
    except WinnowError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.stop()


def link(page: str, label: str, icon: str = ":material/arrow_forward:") -> None:
    """A link to another page, by its file name; plain words where a page runs alone, as in tests."""
    try:
        st.page_link(f"../pages/{page}.py", label=label, icon=icon)
    except (StreamlitAPIException, KeyError):  # KeyError: no navigation has run in this session
        st.caption(label)


def empty(sentence: str, page: str, label: str) -> None:
    """An empty state: what is missing and why, the link to the page that makes it; ends the page."""
    with st.container(border=True):
        st.markdown(plain(sentence))
        link(page, label)
    st.stop()
