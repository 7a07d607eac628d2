"""The parts of the Pool page: numbers, shares, the table of rows, the import form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core import pipeline
from core import pool as stage
from core.pool import Mapping
from core.values import BEHAVIOURS, SPLITS, Pool, Rows
from core.workspace import Workspace
from ui import colours, downloads, figures, imports, state, tables, theme
from ui.guards import plain, sentences

PAGE = 100  # rows per page of the table


def provenance(ws: Workspace, name: str) -> None:
    """One line under the title: where the rows come from and how they were split."""
    manifest = stage.read_manifest(ws, name)
    shares = " / ".join(f"{100 * f:g}" for f in manifest["fractions"])
    st.caption(
        plain(
            f"{manifest['rows']:,} rows of {name} · from {manifest['origin']} · split {shares} % by group, "
            f"seed {manifest['split_seed']} · fingerprint {manifest['fingerprint'][:10]}"
        )
    )


def numbers(ws: Workspace, name: str) -> None:
    """The counts a reader needs first."""
    counts = state.summary(ws, name).counts
    with st.container(horizontal=True, key="pool.numbers"):
        for label, key, words in (
            ("Rows", "rows", None),
            ("Pairs", "pairs", "Rows with a response and a rejected text."),
            ("Blocked", "blocked", "Rows without any text that may be trained toward."),
            ("Categories", "categories", "Distinct harm categories."),
            ("Duplicates", "duplicates", "Rows whose three texts repeat an earlier row's exactly."),
            ("Bad rows", "bad", "Rows of the source that are not in the pool."),
        ):
            st.metric(label, f"{counts.get(key, 0):,}", help=words, width=118)


def shares(ws: Workspace, name: str) -> None:
    """Rows per category and per behaviour, in the colours they have on every page; splits below."""
    pool = state.read_pool(ws, name)
    rows = np.arange(len(pool))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Rows by category**")
        coloured = colours.by_category(*pool.categories())
        figure, frame = figures.legend_bars(coloured, rows)
        figures.show(
            figure,
            key="pool.categories",
            alt=f"Rows by category of {name}",
            data=frame,
            name=f"{name}-categories",
        )
    with right:
        st.markdown("**Rows by behaviour**")
        coloured = colours.by_behaviour(pool.column("behaviour"))
        figure, frame = figures.legend_bars(coloured, rows)
        figures.show(
            figure,
            key="pool.behaviour",
            alt=f"Rows by behaviour of {name}",
            data=frame,
            name=f"{name}-behaviour",
        )
        counts = state.summary(ws, name).counts
        st.markdown("**Split**")
        st.caption(" · ".join(f"{s} {counts.get(s, 0):,}" for s in SPLITS))
    _bad(ws, name)


def _bad(ws: Workspace, name: str) -> None:
    bad = stage.bad_rows(ws, name)
    if bad:
        frame = pd.DataFrame([b.model_dump() for b in bad])
        with st.expander(f"{len(bad):,} rows of the source are not in the pool: line and reason"):
            st.dataframe(frame.head(imports.PREVIEW), hide_index=True, alt="Bad rows with line and reason")
            downloads.table(frame, f"{name}-bad-rows", key="pool.bad.csv")


@st.fragment
def rows(ws: Workspace, name: str) -> None:
    """The rows themselves, filtered and paged on the server, masked."""
    pool, mask = state.read_pool(ws, name), state.mask(ws, state.read_pool(ws, name))
    st.markdown("**Rows**")
    found = _filter(pool)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(found):,} of {len(pool):,} rows")
        page = st.pagination(max(-(-len(found) // PAGE), 1), key="pool.page") if len(found) > PAGE else 1
    shown = found[(page - 1) * PAGE : page * PAGE]
    scored = state.toxicity(ws, pool)
    toxicity = np.asarray(scored.array()) if scored else None
    extra = {"toxicity": tables.values(toxicity, shown)} if scored else {}
    clicked = tables.show(pool, shown, mask, key="pool.rows", extra=extra, most=10)
    if clicked is not None:
        facts = {} if toxicity is None else {"toxicity": theme.number(float(toxicity[clicked]))}
        tables.card(pool, clicked, mask, facts)


def _filter(pool: Pool) -> Rows:
    """Row numbers left by the filters above the table; the words looked for never reach the address bar."""
    frame = pool.frame
    keep = np.ones(len(pool), dtype=bool)
    text, category, behaviour, split = st.columns([3, 3, 2, 2])
    words = text.text_input("Find text", key="pool.find", placeholder="word or phrase").strip().lower()
    wanted = category.selectbox(
        "Category", [None, *sorted(pool.categories()[0])], key="pool.category", format_func=any_or
    )
    kind = behaviour.selectbox("Behaviour", [None, *BEHAVIOURS], key="pool.kind", format_func=any_or)
    part = split.selectbox("Split", [None, *SPLITS], key="pool.split", format_func=any_or)
    if words:
        keep &= contains(pool, words)
    if wanted is not None:
        keep &= np.array([wanted in c for c in frame["category"]], dtype=bool)
    if kind is not None:
        keep &= (frame["behaviour"] == kind).to_numpy()
    if part is not None:
        keep &= (frame["split"] == part).to_numpy()
    return np.flatnonzero(keep)


def any_or(value: str | None) -> str:
    """How a filter's choice is shown; None is "all"."""
    return "all" if value is None else value


def contains(pool: Pool, words: str) -> np.ndarray:
    """(n,) rows with the words, in any case, in any of their texts."""
    found = np.zeros(len(pool), dtype=bool)
    for column in tables.TEXTS:
        found |= pool.frame[column].str.lower().str.contains(words, regex=False).to_numpy(dtype=bool)
    return found


def import_form(ws: Workspace) -> None:
    """Source, mapping, split; the result is shown before anything is stored."""
    source, split = _source(ws)
    if not source:
        st.caption("Nothing leaves this machine: the file is read here and stored in the workspace.")
        return
    with sentences():
        raw = imports.read(source, split)
        st.caption(plain(f"{len(raw.frame):,} rows, {len(raw.frame.columns)} columns in {raw.origin}"))
        key = f"import.{hash((source, split))}"
        mapping = imports.mapping_form(raw, key)
        name, seed, fractions, collapse = _settings(source, key)
        built = imports.build(source, mapping, name, seed, fractions, collapse, raw)
        imports.show_result(built)
        _import_button(ws, built, mapping, source)


def _source(ws: Workspace) -> tuple[str, str]:
    """The file to read: uploaded, or a path or Hugging Face name typed in; and the data set's split."""
    left, right = st.columns(2, gap="large")
    uploaded = left.file_uploader(
        "Upload csv, jsonl, jsonl.gz or parquet",
        type=["csv", "tsv", "jsonl", "gz", "parquet"],
        key="import.file",
    )
    typed = right.text_input(
        "or a path on this machine, or a Hugging Face data set",
        key="import.path",
        placeholder="folder/file.parquet",
    ).strip()
    split = right.text_input("Split of the data set", key="import.split", placeholder="train").strip()
    with sentences():
        if uploaded is not None:
            return imports.keep_upload(ws, uploaded.name, uploaded.getvalue()), ""
        return (imports.check_path(ws, typed), split) if typed else ("", "")


def _settings(source: str, key: str) -> tuple[str, int, tuple[float, ...], bool]:
    a, b, c, d, e = st.columns([3, 2, 2, 2, 3], vertical_alignment="bottom")
    name = a.text_input("Name of the pool", value=imports.suggested_name(source), key=f"{key}.name").strip()
    validation = b.number_input("Validation %", 0.0, 100.0, 10.0, 5.0, format="%g", key=f"{key}.validation")
    test = c.number_input("Test %", 0.0, 100.0, 10.0, 5.0, format="%g", key=f"{key}.test")
    seed = d.number_input("Split seed", 0, value=0, key=f"{key}.seed")
    collapse = e.toggle(
        "Collapse duplicates", key=f"{key}.collapse", help="Keep the first of identical rows."
    )
    train = round(100 - validation - test, 6)
    return name, int(seed), tuple(round(v / 100, 6) for v in (train, validation, test)), collapse


def _import_button(ws: Workspace, built: stage.Built, mapping: Mapping, source: str) -> None:
    there = built.pool.name in [p.name for p in pipeline.pools(ws)]
    replace = st.checkbox("Replace the pool of that name", key="import.replace") if there else False
    if st.button(
        f"Import {len(built.pool):,} rows", type="primary", icon=":material/download_done:", key="import.go"
    ):
        stage.save_pool(ws, built, mapping, source, replace=replace)
        state.show_pool(built.pool.name)
        st.toast(plain(f"Pool {built.pool.name} stored."))
        st.rerun()
