"""Everything shown can be taken along: tables and the numbers behind a figure, as csv or json."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import streamlit as st

FORMULA = re.compile(r"^[=+@\t\r]|^-(?![\d.])")  # a spreadsheet would run such a cell


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The table as utf-8 csv; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    return frame.map(_still).to_csv(index=False).encode()


def _still(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and FORMULA.search(cell) else cell


def table(frame: pd.DataFrame, name: str, *, key: str, label: str = "Table (csv)") -> None:
    """A small button that downloads `frame` as NAME.csv, as it is shown (masked where it is masked)."""
    st.download_button(
        label,
        lambda: csv_bytes(frame),
        f"{name}.csv",
        "text/csv",
        key=key,
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def document(value: Any, name: str, *, key: str, label: str) -> None:
    """A small button that downloads a pydantic value or plain data as NAME.json."""
    text = (
        value.model_dump_json(indent=1) if hasattr(value, "model_dump_json") else json.dumps(value, indent=1)
    )
    st.download_button(
        label,
        text,
        f"{name}.json",
        "application/json",
        key=key,
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
