"""What one run wrote and what it was asked: its generations, masked, and the settings that made it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core import pipeline
from core.errors import WinnowError
from core.evaluation import BASE
from core.pipeline import Run
from core.pipeline.against import side_by_side
from core.workspace import Workspace
from ui import compare_runs, downloads, tables
from ui.guards import link, plain
from ui.masking import Mask

ORDERS = ("Worst first", "In order")
MOST = 200  # generations sent at once; the download has all


def generations(ws: Workspace, run: Run) -> None:
    """What the repaired model wrote, masked, with the toxicity of each continuation."""
    frame = _written(str(ws.root), run.id, ws)
    if frame.empty:
        st.info("The texts of this run's generations are not kept.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.segmented_control(
            "Generations", ORDERS, default=ORDERS[0], required=True, key="trade.order"
        )
        st.caption(plain(f"{len(frame):,} continuations; the first {MOST} are shown, the download has all."))
    if order == ORDERS[0]:
        frame = frame.sort_values("toxicity", ascending=False, kind="stable")
    shown = compare_runs.mask()
    part = _masked(frame.head(MOST), shown)
    column = st.column_config
    st.dataframe(
        part,
        key="trade.generations",
        hide_index=True,
        height=tables.height(len(part), 10),
        column_config={
            "toxicity": column.NumberColumn("Toxicity", format="%.3f", width=74),
            "prompt": column.TextColumn("Prompt", width=280),
            "continuation": column.TextColumn("Continuation", width="large"),
            "sample": column.NumberColumn("Sample", width=64),
        },
        alt=f"{len(part)} of {len(frame)} continuations with their toxicity",
    )
    st.download_button(
        "Table (csv)",
        lambda: downloads.csv_bytes(_masked(frame, shown)),
        f"generations-{run.id}.csv",
        "text/csv",
        key="trade.generations.csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def _masked(frame: pd.DataFrame, shown: Mask) -> pd.DataFrame:
    texts = ("prompt", "continuation")
    return frame.assign(**{name: [shown.line(str(t)) for t in frame[name]] for name in texts})


@st.cache_data(max_entries=8, show_spinner="Reading the generations")
def _written(root: str, run: str, _ws: Workspace) -> pd.DataFrame:
    sides = side_by_side(_ws, BASE, run)
    names = {
        "second_toxicity": "toxicity",
        "prompt": "prompt",
        "second_text": "continuation",
        "sample": "sample",
    }
    return sides[list(names)].rename(columns=names)


def recipe(ws: Workspace, run: Run) -> None:
    """What was asked: the recipe that chose the rows, and the method's settings."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**How the rows were chosen**")
        _chosen(ws, run)
    with right:
        st.markdown("**How the model was repaired**")
        m = run.manifest
        _settings({"method": m.spec.method, "model": m.model, "seed": m.spec.seed} | m.spec.params)
    link("repair", "Repair again with changes on the Repair page")


def _chosen(ws: Workspace, run: Run) -> None:
    try:
        asked = pipeline.load_selection(ws, run.manifest.selection).recipe
    except WinnowError as error:
        st.caption(plain(str(error)))
        return
    head = {"strategy": asked.strategy, "budget": asked.budget.words, "seed": asked.seed}
    _settings(head | asked.params)
    downloads.document(asked, f"recipe-{run.id}", key="trade.recipe.json", label="Recipe (json)")


def _settings(values: dict[str, Any]) -> None:
    frame = pd.DataFrame({"setting": list(values), "value": [_word(v) for v in values.values()]})
    config = {
        "setting": st.column_config.TextColumn("Setting"),
        "value": st.column_config.TextColumn("Value"),
    }
    st.dataframe(
        frame,
        hide_index=True,
        height=tables.height(len(frame), 10),
        column_config=config,
        alt=f"{len(frame)} settings with their values",
    )


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if not isinstance(value, dict) else ", ".join(f"{k} {v:g}" for k, v in value.items())
