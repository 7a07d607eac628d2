"""Bringing a file in as a pool: source, mapping, value rules, split, and what is wrong with which line."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from core import pool as stage
from core.errors import BadInput
from core.pool import Built, Mapping, RawTable
from core.values import FLAGS
from core.workspace import Workspace, safe_name, write_bytes
from core.workspace.store import PROJECT
from ui import downloads, tables
from ui.guards import plain

UPLOADS = "uploads"
PREVIEW = 200  # bad rows listed on the page; the download has all
ROOTS_VARIABLE = (
    "WINNOW_ROOTS"  # more folders that paths may lie in, separated by the system's path separator
)
HELP = {
    "id": "Unique name of a row; made from file and line where there is none.",
    "prompt": "What the model is given; empty is legal, null is a bad row.",
    "response": "Text that may be trained toward.",
    "rejected": "Text that is never trained toward.",
    "category": "Harm categories: a list, a map of booleans, or names separated by | in csv.",
    "harmful_request": "Flag yes/no: the prompt asks for something harmful.",
    "refusal": "Flag yes/no: the response refuses.",
    "harmful_response": "Flag yes/no: the response is harmful; it is then moved to rejected.",
    "behaviour": "T1 to T4, where the source already has them.",
    "group": "Rows of one group stay in one split.",
    "source": "Where a row comes from.",
}


def roots(ws: Workspace) -> list[Path]:
    """Folders a typed path may lie in: home, beside the project, the workspace, the temporary folder."""
    more = [Path(p) for p in os.environ.get(ROOTS_VARIABLE, "").split(os.pathsep) if p]
    fixed = (Path.home(), PROJECT.parent, ws.root, Path(tempfile.gettempdir()))
    return [p.expanduser().resolve() for p in (*fixed, *more)]


def check_path(ws: Workspace, source: str) -> str:
    """The source as typed, if it is no existing path or one in the allowed folders; else BadInput."""
    path = Path(source).expanduser()
    if path.exists() and not any(path.resolve().is_relative_to(root) for root in roots(ws)):
        raise BadInput(
            f"{source} lies outside the folders this app may read; move it below {Path.home()} "
            f"or name its folder in {ROOTS_VARIABLE}"
        )
    return source


def keep_upload(ws: Workspace, name: str, data: bytes) -> str:
    """Store uploaded bytes under their hash with a harmless file name; its suffix tells the type."""
    clean = safe_name(
        re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).name).lstrip("._-")[-80:] or "file", "file name"
    )
    path = ws.path(UPLOADS, hashlib.sha256(data).hexdigest()[:16], clean)
    if not path.exists():
        write_bytes(path, data)
    return str(path)


def suggested_name(source: str) -> str:
    """A pool name made of a file's or data set's name."""
    base = Path(source).name.split(".")[0] or "pool"
    return re.sub(r"[^A-Za-z0-9._-]+", "_", base).lstrip("._-")[:60] or "pool"


def read(source: str, split: str) -> RawTable:
    """The raw table, read once per state of the file."""
    path = Path(source).expanduser()
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else (0, 0)
    return _read(source, split, stamp)


@st.cache_resource(max_entries=2, show_spinner="Reading the file")
def _read(source: str, split: str, stamp: tuple[int, int]) -> RawTable:
    return stage.read_table(source, split=split or None)


@st.cache_resource(max_entries=4, show_spinner="Checking every row")
def build(
    source: str,
    mapping: Mapping,
    name: str,
    seed: int,
    fractions: tuple[float, ...],
    collapse: bool,
    _raw: RawTable,
) -> Built:
    """The pool these settings would make, and the rows that would not be in it."""
    return stage.build_pool(
        _raw, mapping, name=name, split_seed=seed, fractions=fractions, collapse_duplicates=collapse
    )


def mapping_form(raw: RawTable, key: str) -> Mapping:
    """The guessed mapping, editable; one row per field of a pool, and value rules as text."""
    guess = stage.guess_mapping(raw)
    frame = pd.DataFrame(
        {
            "field": list(stage.FIELDS),
            "column": [guess.columns.get(f) for f in stage.FIELDS],
            "meaning": [HELP[f] for f in stage.FIELDS],
        }
    )
    edited = st.data_editor(
        frame,
        key=f"{key}.columns",
        hide_index=True,
        disabled=["field", "meaning"],
        height=tables.height(len(frame), len(frame)),
        column_config={
            "field": st.column_config.TextColumn("Field of the pool", width="small"),
            "column": st.column_config.SelectboxColumn(
                "Column of the source", options=[str(c) for c in raw.frame.columns], width="medium"
            ),
            "meaning": st.column_config.TextColumn("What it is", width="large"),
        },
    )
    typed = st.text_area(
        "Value rules, one per line",
        value="\n".join(guess.rules),
        key=f"{key}.rules",
        height=90,
        placeholder="refusal:2_full_refusal=yes\nharmful_request@harm_category:contrast_*=yes",
        help="FLAG:PATTERN=yes|no reads the column mapped to that flag, FLAG@COLUMN:PATTERN=yes|no any "
        f"column; flags are {', '.join(FLAGS)}; * and ? are wildcards; the last rule that fits decides.",
    )
    columns = {
        str(f): str(c)
        for f, c in zip(edited["field"], edited["column"], strict=True)
        if isinstance(c, str) and c
    }
    return Mapping(columns=columns, rules=tuple(r.strip() for r in typed.splitlines() if r.strip()))


def show_result(built: Built) -> None:
    """What the settings give: counts, notes, and the bad rows with line and reason."""
    counts = built.counts
    with st.container(horizontal=True):
        st.metric("Good rows", f"{counts['rows']:,}", width=120)
        st.metric("Bad rows", f"{len(built.bad):,}", width=110)
        st.metric("Duplicates", f"{counts['duplicates']:,}", width=120)
        st.metric(
            "Blocked",
            f"{counts['blocked']:,}",
            width=110,
            help="Rows without a text that may be trained toward.",
        )
        st.metric(
            "Pairs", f"{counts['pairs']:,}", width=110, help="Rows with a response and a rejected text."
        )
        st.metric("Categories", f"{counts['categories']:,}", width=120)
    for note in built.notes:
        st.caption(plain(note))
    if built.bad:
        bad = pd.DataFrame([b.model_dump() for b in built.bad])
        with st.expander(f"{len(bad):,} bad rows: line and reason", expanded=len(bad) <= 10):  # noqa: PLR2004
            st.dataframe(bad.head(PREVIEW), hide_index=True, alt="Bad rows with line number and reason")
            downloads.table(bad, f"{built.pool.name}-bad-rows", key="bad.csv")
