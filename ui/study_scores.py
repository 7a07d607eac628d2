"""Scores of a study in tables: composites of every arm, and one method against another in ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.evaluation.headline import Headline
from core.pipeline.claims import Pair, gap, method_headline, pairs
from core.pipeline.study_numbers import SCORES, Numbers
from ui import downloads, study_names, tables, theme
from ui.guards import plain
from ui.study_data import Compared

AVERAGES = ("ratio of averages", "average of ratios")
EVERY = "all strategies"


@st.fragment
def view(of: Compared) -> None:
    """Composites, then the headline ratios."""
    st.subheader("Composite scores")
    composites(of)
    st.subheader("One method against another")
    headline(of)


def composites(of: Compared) -> None:
    """OPS, RPS and RES of every arm with intervals, under the name of their definition."""
    frame = _composites(str(of.ws.root), of.group.key, of.labels, of)
    if frame.empty:
        st.info("No finished run has both toxicity and perplexity yet.")
        return
    names = [name for name in ("TR", *SCORES) if frame[name].notna().any()]
    shown = frame[["arm", "seeds"]].assign(**{name: _intervals(frame, name) for name in names})
    column = st.column_config
    config: dict[str, Any] = {
        "arm": column.TextColumn("Mean over seeds", width=172),
        "seeds": column.NumberColumn("Seeds", width=46),
    }
    for name in names:
        config[name] = column.TextColumn(name, width=110, help=study_names.title(name))
    st.dataframe(
        shown,
        key="trade.composites",
        hide_index=True,
        height=tables.height(len(frame), 14),
        column_config=config,
        alt=f"Composite scores of {len(frame)} arms with intervals",
    )
    left_out = [name for name in SCORES if name not in names]
    lacking = f" · {', '.join(left_out)}: n/a without a full-data run of the same method" if left_out else ""
    st.caption(plain(f"{of.known.unit('OPS')} · higher is better · [95 % interval]{lacking}"))
    downloads.table(frame, f"{of.name}-composites", key="trade.composites.csv")


def _intervals(frame: pd.DataFrame, name: str) -> list[str]:
    ends = zip(frame[name], frame[f"{name} low"], frame[f"{name} high"], strict=True)
    return [
        "n/a" if v != v or v is None else f"{theme.number(v, 2)}{_bounds(low, high)}" for v, low, high in ends
    ]


def _bounds(low: float | None, high: float | None) -> str:
    return (
        ""
        if low is None or high is None or low != low
        else f" [{theme.number(low, 2)}, {theme.number(high, 2)}]"
    )


@st.cache_data(max_entries=16, show_spinner="Resampling prompts and documents")
def _composites(root: str, key: str, labels: tuple[tuple[str, str, str], ...], _of: Compared) -> pd.DataFrame:
    return composite_frame(_of.known)


def composite_frame(known: Numbers) -> pd.DataFrame:
    """One line per arm; what cannot be told is empty."""
    rows = []
    for arm in known.arms():
        row: dict[str, Any] = {"arm": arm.label, "seeds": len(arm.cells)}
        for name in ("TR", *SCORES):
            found = known.over_seeds(arm, name)
            row |= {name: found.value, f"{name} low": found.low, f"{name} high": found.high}
        rows.append(row)
    return pd.DataFrame(rows)


def headline(of: Compared) -> None:
    """How much more effective one method is than another, and how much less it disrupts."""
    methods = list(dict.fromkeys(c.method for c in of.cells))
    texts = list(of.group.base.texts)
    if len(methods) < 2 or not texts:  # noqa: PLR2004 - a ratio has two sides
        st.caption("Two methods and a perplexity are needed: every ratio has two sides.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = str(st.selectbox("Method", methods, len(methods) - 1, key="trade.ratio.first", width=200))
        rest = [m for m in methods if m != first]
        second = str(st.selectbox("Against", rest, key="trade.ratio.second", width=200))
        text = texts[0]
        if len(texts) > 1:
            chosen = st.segmented_control(
                "Perplexity of", texts, default=text, required=True, key="trade.ratio.text"
            )
            text = str(chosen)
    frame = headline_frame(of.known, first, second, text)
    if frame.empty:
        st.info(plain(f"No strategy, budget and seed was run with both {first} and {second}."))
        return
    st.markdown(plain(said(frame, first, second)))
    _headline_table(frame, first, second)
    st.caption(
        plain(
            "R = 1 - toxicity / base, I = perplexity / base - 1. Ratios: R / R - 1 (more effective), "
            "1 - I / I (less disruption), as IRepair's table 1 (doi 10.1145/3715775); n/a where what it is "
            "told against is not above 0. Differences in points, paired, widened over seeds."
        )
    )
    downloads.table(frame, f"{first}-against-{second}-ratios", key="trade.ratios.csv")


def _headline_table(frame: pd.DataFrame, first: str, second: str) -> None:
    column = st.column_config
    percent: dict[str, Any] = {"format": "%.1f %%", "width": 84}
    told: dict[str, Any] = {"format": "%+.1f %%", "width": 116}
    ends = zip(frame["difference"], frame["low"], frame["high"], strict=True)
    said = [f"{v:+.1f} [{low:+.1f}, {high:+.1f}]" if v == v else "n/a" for v, low, high in ends]
    shown = frame.assign(difference=said)
    st.dataframe(
        shown.drop(columns=["low", "high"]),
        key="trade.ratios",
        hide_index=True,
        placeholder="n/a",
        height=tables.height(len(frame), 12),
        column_config={
            "runs": column.TextColumn("Runs of", width=110),
            "pairs": column.NumberColumn("Pairs", width=46),
            "seeds": column.NumberColumn("Seeds", width=46),
            "number": column.TextColumn("Number", width=164),
            "first": column.NumberColumn(theme.short(first, 12), help=first, **percent),
            "second": column.NumberColumn(theme.short(second, 12), help=second, **percent),
            "difference": column.TextColumn("Points, 95 %", width=146, alignment="right"),
            "ratio of averages": column.NumberColumn(help="As the paper: averages first.", **told),
            "average of ratios": column.NumberColumn(help="Each run's own ratio, then their mean.", **told),
        },
        alt=f"{first} against {second}: reductions, increases and their ratios",
    )


def said(frame: pd.DataFrame, first: str, second: str) -> str:
    """The headline as a sentence, of all matched runs; neutral where the differences' intervals hold 0."""
    parts = []
    for at, (up, down) in enumerate(
        (("more effective", "less effective"), ("less disruptive", "more disruptive"))
    ):
        row = frame.iloc[at]
        if pd.notna(row["ratio of averages"]):
            words = f"{abs(row['ratio of averages']):.1f} % {up if row['ratio of averages'] >= 0 else down}"
            parts.append(words + _unsure(row))
    if not parts:
        return (
            f"{first} and {second} cannot be told as a ratio: what they are measured against is not above 0."
        )
    return f"Over {frame.iloc[0]['pairs']} matched runs {first} is {' and '.join(parts)} than {second}."


def _unsure(row: pd.Series) -> str:
    """What must stand beside a ratio that the runs do not bear out: one seed bears out nothing."""
    if row["seeds"] == 1:
        return " (one seed: how far seeds scatter is not known)"
    apart = row["low"] * row["high"] > 0
    return "" if apart else " (the difference is not distinguishable from none)"


def headline_frame(known: Numbers, first: str, second: str, text: str) -> pd.DataFrame:
    """All matched runs, then those of each strategy: two lines each, R and I; everything in percent."""
    mine, theirs = ([c for c in known.cells if c.method == m] for m in (first, second))
    matched = pairs(mine, theirs, "method")
    names = list(dict.fromkeys(one.strategy for one, _ in matched))
    groups = {EVERY: matched}
    if len(names) > 1:
        groups |= {name: [p for p in matched if p[0].strategy == name] for name in names}
    rows = []
    for name, members in groups.items():
        both = method_headline(known, members, text)
        if both is not None:
            head = {"runs": name, "pairs": len(members), "seeds": len({a.seed for a, _ in members})}
            rows += [head | line for line in _lines(known, members, text, *both)]
    return pd.DataFrame(rows)


def _lines(
    known: Numbers, members: Sequence[Pair], text: str, paper: Headline, each: Headline
) -> list[dict[str, Any]]:
    """The reduction's line and the increase's line of one group."""
    lines = (
        (
            "R, toxicity reduction",
            "TR",
            paper.reduction,
            paper.other_reduction,
            paper.effective,
            each.effective,
        ),
        (
            "I, perplexity increase",
            f"cost of perplexity:{text}",
            paper.increase,
            paper.other_increase,
            paper.disruption,
            each.disruption,
        ),
    )
    out = []
    for name, metric, mine, theirs, ratio, average in lines:
        found = gap(known, members, metric)
        ends = (np.nan,) * 3 if found is None else (found.value, found.low, found.high)
        titles = ("first", "second", "difference", "low", "high", "ratio of averages", "average of ratios")
        values = (mine, theirs, *ends, ratio, average)
        out.append({"number": name} | {t: 100 * v for t, v in zip(titles, values, strict=True)})
    return out
