"""Tables of examples, masked row by row, as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import streamlit as st

from core.values import BEHAVIOURS, Pool, Rows
from ui import downloads
from ui.guards import plain
from ui.masking import Mask

SHOWN = 500  # rows of a table sent at once; the download has all
CELL = 600  # characters of a text in a table; the example card has all
TEXTS = ("prompt", "response", "rejected")


def examples(
    pool: Pool, rows: Rows, mask: Mask, extra: Mapping[str, Sequence[Any]] | None = None
) -> pd.DataFrame:
    """The rows for reading: texts masked, categories joined by " | ", `extra` columns after the id."""
    part = pool.frame.iloc[rows]
    columns: dict[str, Any] = {"id": part["id"].astype(str).tolist()}
    columns |= {name: list(values) for name, values in (extra or {}).items()}
    columns |= {name: mask.texts(part[name], rows) for name in TEXTS}
    columns["category"] = [" | ".join(c) for c in part["category"]]
    columns |= {name: part[name].astype(str).tolist() for name in ("behaviour", "split")}
    columns["blocked"] = part["blocked"].astype(bool).tolist()
    return pd.DataFrame(columns)


def show(
    pool: Pool,
    rows: Rows,
    mask: Mask,
    *,
    key: str,
    extra: Mapping[str, Sequence[Any]] | None = None,
    most: int = 8,
) -> int | None:
    """Draw the rows (500, `most` in sight) with a download of all; returns the row clicked, or None."""
    shown = {name: values[:SHOWN] for name, values in (extra or {}).items()}
    frame = examples(pool, rows[:SHOWN], mask, shown)
    frame[list(TEXTS)] = frame[list(TEXTS)].map(lambda text: text[:CELL])
    frame = frame[[c for c in frame if c not in TEXTS or (frame[c] != "").any()]]
    event = st.dataframe(
        frame,
        key=key,
        hide_index=True,
        height=height(len(frame), most),
        on_select="rerun",
        selection_mode="single-row",
        column_config=column_config(),
        alt=f"{len(frame)} of {len(rows)} rows of pool {pool.name}",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(rows) > SHOWN:
            st.caption(f"The first {SHOWN:,} of {len(rows):,} rows; the download has all.")
        st.download_button(
            "Table (csv)",
            lambda: downloads.csv_bytes(examples(pool, rows, mask, extra)),
            f"{pool.name}-rows.csv",
            "text/csv",
            key=f"{key}.csv",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )
    picked = cast(Any, event).selection.rows
    return int(rows[picked[0]]) if picked and picked[0] < len(rows) else None


def height(rows: int, most: int) -> int:
    """Pixels for a table of `rows` rows that shows `most` of them at once, without cutting one."""
    return 33 * min(rows, most) + 36


def column_config() -> dict[str, Any]:
    """Widths and number formats, the same in every table of examples."""
    column = st.column_config
    return {
        "id": column.TextColumn(width=124),
        "prompt": column.TextColumn(width="large"),
        "response": column.TextColumn(width="large"),
        "rejected": column.TextColumn(width="large"),
        "category": column.TextColumn(width="medium"),
        "toxicity": column.NumberColumn(
            format="%.2f", width="small", help="Stored toxicity of the answer, 0 to 1."
        ),
        "cluster": column.NumberColumn(width="small", help="-1 is unclustered."),
        "behaviour": column.TextColumn(width="small"),
        "split": column.TextColumn(width="small"),
        "blocked": column.CheckboxColumn(width="small", help="No text of this row may be trained toward."),
    }


def card(pool: Pool, row: int, mask: Mask, facts: Mapping[str, str]) -> None:
    """One example in full: its facts in a line, then its texts as plain text."""
    part = pool.frame.iloc[row]
    with st.container(border=True):
        st.markdown(f"**{plain(str(part['id']))}**")
        words = [
            str(part["behaviour"]) if part["behaviour"] in BEHAVIOURS else "",
            *(str(c) for c in part["category"]),
            *(f"{k} {v}" for k, v in facts.items()),
        ]
        st.caption(plain(" · ".join(w for w in words if w)))
        for name in TEXTS:
            if part[name]:
                st.caption(name)
                st.text(mask.text(str(part[name]), row))


def values(array: np.ndarray | None, rows: Rows) -> list[float | None]:
    """The array's values at `rows` for a table column; missing numbers become empty cells."""
    if array is None:
        return [None] * len(rows)
    return [None if v != v else round(float(v), 4) for v in np.asarray(array)[rows].tolist()]
