"""Tables as csv that a spreadsheet only shows: no cell of text can run as a formula.

OWASP, "CSV Injection": a cell is a formula by its first character, "=", "+", "-", "@" (their full-width forms
too), tab, carriage return or line feed.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - the full-width forms are meant
NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # "-3" is a number, "-3+1" a formula


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 csv; text that would run as a formula gets a leading apostrophe, headers too."""
    safe = frame.map(still).rename(columns=still)
    # Lines end as RFC 4180 says: only then is a lone carriage return quoted, not the start of another row.
    return safe.to_csv(index=False, lineterminator="\r\n").encode()


def still(cell: Any) -> Any:
    """The cell itself, or with an apostrophe before text that a spreadsheet would run; numbers stay."""
    runs = isinstance(cell, str) and FORMULA.match(cell) and not NEGATIVE.fullmatch(cell)
    return f"'{cell}" if runs else cell
