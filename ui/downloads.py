"""Everything shown can be taken along: tables and the numbers behind a figure, as csv or json."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from core.workspace import csv_bytes

__all__ = ["csv_bytes", "document", "table"]


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

    def text() -> str:  # written when asked for: a selection of many rows is long
        if hasattr(value, "model_dump_json"):
            return str(value.model_dump_json(indent=1))
        return json.dumps(value, indent=1)

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
