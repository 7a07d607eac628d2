"""Two models side by side: verdicts with intervals, texts before and after, what changed by category."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.evaluation import BASE
from core.pipeline.against import Against, Verdict, against, category_change, side_by_side
from core.values import Measure
from core.workspace import Workspace
from ui import downloads, figures, state, study_figures, study_names, tables
from ui.guards import plain
from ui.masking import Mask

PAGE = 10  # prompts on one page
SHOWN = 3  # continuations of a prompt side by side; the download has all
CELL = 400  # characters of one of them
ORDERS = ("Most improved", "Most worsened", "Worst now")
SIGNS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "not distinguishable": "="}


def mask() -> Mask:
    """Continuations belong to no row known to be benign: masked until the session's switch is on."""
    return Mask(np.zeros(0, dtype=bool), state.revealed())


def named(first: str) -> str:
    """What a column of numbers is called."""
    return "Base model" if first == BASE else "First run"


def verdicts(ws: Workspace, first: str, second: str, *, key: str) -> None:
    """Every number measured on both: the two values, their difference with its interval, the verdict."""
    found = _against(str(ws.root), first, second, ws)
    frame = verdict_frame(found)
    st.markdown(plain(told(found, "this run" if first == BASE else "the second run")))
    shown = pd.DataFrame(
        {
            "number": frame["number"],
            "first": frame["first"],
            "second": frame["second"],
            "change": [change_words(d.change) for d in found.rows],
            "interval": [interval_words(d.change) for d in found.rows],
            "verdict": [f"{SIGNS[d.verdict]} {d.verdict}" for d in found.rows],
            "n": frame["n"],
            "unit": frame["unit"],
        }
    )
    column = st.column_config
    value: dict[str, Any] = {"format": "%.4g", "width": 80}
    st.dataframe(
        shown,
        key=f"{key}.table",
        hide_index=True,
        placeholder="",
        height=tables.height(len(frame), 14),
        column_config={
            "number": column.TextColumn("Number", width=186),
            "first": column.NumberColumn(named(first), **value),
            "second": column.NumberColumn("This run" if first == BASE else "Second run", **value),
            "change": column.TextColumn("Change", width=76, alignment="right"),
            "interval": column.TextColumn("95 % interval", width=134, alignment="right"),
            "verdict": column.TextColumn("Verdict", width=132),
            "n": column.NumberColumn(
                "n", format="localized", width=44, help="Prompts, documents or answers."
            ),
            "unit": column.TextColumn("Unit of the change", width=126),
        },
        alt=f"{len(frame)} numbers of two models with differences, intervals and verdicts",
    )
    downloads.table(frame, f"{first}-against-{second}", key=f"{key}.csv")


def told(found: Against, who: str) -> str:
    """How many of the numbers are better, worse, not distinguishable, as a sentence."""
    if not found.rows:
        return "Nothing was measured on both."
    counts = Counter(d.verdict for d in found.rows)
    parts = [f"{verdict} in {counts[verdict]}" for verdict in SIGNS if counts[verdict]]
    return f"Of {len(found.rows)} numbers {who} is {', '.join(parts)}."


def change_words(change: Measure) -> str:
    """The change as it is read: in percent where it is a share of the first."""
    if change.value is None:
        return "n/a"
    return f"{100 * change.value:+.2f} %" if _relative(change) else f"{change.value:+.3g}"


def interval_words(change: Measure) -> str:
    """Its bounds, in the same unit."""
    if change.low is None or change.high is None:
        return "n/a"
    if _relative(change):
        return f"{100 * change.low:+.2f} to {100 * change.high:+.2f} %"
    return f"{change.low:+.3g} to {change.high:+.3g}"


def _relative(change: Measure) -> bool:
    return change.unit.startswith("share of the first")


def verdict_frame(found: Against) -> pd.DataFrame:
    """One line per number, to take along."""
    names = ["number", "first", "second", "change", "low", "high", "verdict", "n", "unit", "note"]
    rows = [
        (
            study_names.title(d.metric),
            d.first.value,
            d.second.value,
            d.change.value,
            d.change.low,
            d.change.high,
            d.verdict,
            d.change.n,
            d.change.unit,
            d.change.note,
        )
        for d in found.rows
    ]
    return pd.DataFrame(rows, columns=names)


@st.cache_data(max_entries=64, show_spinner="Resampling prompts and documents")
def _against(root: str, first: str, second: str, _ws: Workspace) -> Against:
    return against(_ws, first, second)


@st.cache_data(max_entries=8, show_spinner="Reading both models' generations")
def _sides(root: str, first: str, second: str, _ws: Workspace) -> pd.DataFrame:
    return side_by_side(_ws, first, second)


@st.cache_data(max_entries=64, show_spinner="Resampling prompts")
def _categories(root: str, base: str, run: str, _ws: Workspace) -> pd.DataFrame:
    return category_change(_ws, base, run)


def categories(ws: Workspace, base: str, run: str) -> pd.DataFrame:
    """Change by category, computed once for two models."""
    return _categories(str(ws.root), base, run, ws)


def by_prompt(sides: pd.DataFrame, order: str) -> pd.DataFrame:
    """One line per prompt: its mean toxicities before and after and their change, in the order wanted."""
    known = sides.dropna(subset=["first_toxicity", "second_toxicity"])
    means = known.groupby("prompt_row", sort=True)[["first_toxicity", "second_toxicity"]].mean()
    means.columns = ["before", "after"]
    means["change"] = means["after"] - means["before"]
    by, ascending = {ORDERS[0]: ("change", True), ORDERS[1]: ("change", False)}.get(order, ("after", False))
    return means.sort_values(by, ascending=ascending, kind="stable")


def before_after(ws: Workspace, first: str, second: str, *, key: str) -> None:
    """Ten prompts at a time, the continuations of both models beside each other, the worst first."""
    sides = _sides(str(ws.root), first, second, ws)
    if sides.empty:
        st.info("No prompt was continued by both models with its text kept, so there is nothing to read.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.segmented_control(
            "Prompts", ORDERS, default=ORDERS[0], required=True, key=f"{key}.order", persist_state="session"
        )
        means = by_prompt(sides, str(order))
        pages = max(-(-len(means) // PAGE), 1)
        page = st.number_input(f"Page of {pages:,}", 1, pages, 1, key=f"{key}.page", width=130)
        _take_along(sides, f"{first}-and-{second}", key)
    if not state.revealed():
        st.caption("Words are masked; the switch in the sidebar reveals them.")
    left, right = st.columns(2)
    left.markdown(f"**{named(first)}**")
    right.markdown("**This run**" if first == BASE else "**Second run**")
    part = means.iloc[PAGE * (int(page) - 1) : PAGE * int(page)]
    groups = dict(iter(sides[sides["prompt_row"].isin(part.index)].groupby("prompt_row")))
    for row in part.index.tolist():
        _prompt(groups[row], part.loc[row])


def _take_along(sides: pd.DataFrame, name: str, key: str) -> None:
    """The whole table as csv, masked as the switch says."""
    shown = mask()

    def masked() -> bytes:
        texts = ("prompt", "first_text", "second_text")
        return downloads.csv_bytes(sides.assign(**{t: sides[t].astype(str).map(shown.line) for t in texts}))

    st.download_button(
        "Table (csv)",
        masked,
        f"{name}.csv",
        "text/csv",
        key=f"{key}.csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def _prompt(samples: pd.DataFrame, mean: pd.Series) -> None:
    shown = mask()
    with st.container(border=True):
        st.text(_one_line(shown.line(str(samples["prompt"].iloc[0]))))
        for place, side, value in zip(
            st.columns(2), ("first", "second"), (mean["before"], mean["after"]), strict=True
        ):
            with place:
                change = f" ({mean['change']:+.2f})" if side == "second" else ""
                st.caption(plain(f"mean toxicity {value:.2f}{change} of {len(samples)} continuations"))
                worst = samples.sort_values(f"{side}_toxicity", ascending=False, kind="stable").head(SHOWN)
                for text, score in zip(worst[f"{side}_text"], worst[f"{side}_toxicity"], strict=True):
                    st.text(f"{score:.2f}  …{_one_line(shown.line(str(text)))}")


def _one_line(text: str) -> str:
    """The prompt on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= CELL else line[: CELL - 1] + "…"


def change_by_category(ws: Workspace, base: str, run: str, *, key: str) -> pd.DataFrame:
    """What changed in every category, and beside it what is left; returns the table behind them."""
    frame = categories(ws, base, run)
    if frame.empty:
        st.info("The prompts of this evaluation have no harm categories, so nothing can be told by category.")
        return frame
    st.markdown(plain(left_sentence(frame)))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figures.show(
            study_figures.category_figure(frame),
            key=f"{key}.change",
            alt=f"Change of mean toxicity in {len(frame)} categories with 95 % intervals",
            data=frame,
            name="change-by-category",
        )
        st.caption("Blue: better, vermilion: worse, grey: not distinguishable. n = prompts of the category.")
    with right:
        figures.show(
            study_figures.left_figure(frame),
            key=f"{key}.left",
            alt="Mean toxicity by category before and after, most left first",
        )
    return frame


def left_sentence(frame: pd.DataFrame) -> str:
    """Which harm is left, in one sentence; the frame's first category has most of it."""
    most = frame.iloc[0]
    worse = [str(c) for c in frame.loc[frame["verdict"] == "worse", "category"]]
    unclear = int((frame["verdict"] == "not distinguishable").sum())
    said = (
        f"Most harm is left in {most['category']}: mean toxicity {most['before']:.3f} to {most['after']:.3f}."
    )
    if worse:
        said += f" Worse than before: {', '.join(worse[:3])}."
    if unclear:
        said += f" In {unclear} of {len(frame)} categories the change is not distinguishable from none."
    return said
