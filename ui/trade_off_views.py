"""The parts of the Trade-off page: one comparable group of runs, its chart, its tables."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core import pipeline
from core.evaluation import TradePoint
from core.pipeline import TradeGroup
from core.pipeline.arms import Arm, arms, sentence
from core.values import Evaluation, Measure
from core.workspace import Workspace
from ui import downloads, figures, tables
from ui.guards import plain
from ui.trade_off_figure import numbers, trade_off_figure

SHOWN = {
    "toxicity_mean": "Mean toxicity",
    "emt": "Expected maximum toxicity",
    "tp": "Toxicity probability",
    "toxic_fraction": "Toxic fraction",
    "perplexity": "Perplexity",
    "bits_per_byte": "Bits per byte",
}


def pick_group(groups: list[TradeGroup]) -> TradeGroup:
    """Runs measured alike; numbers of different scorers or protocols are never on one axis."""
    if len(groups) == 1:
        return groups[0]
    labels = [g.label for g in groups]
    chosen = st.selectbox(
        "Measured by",
        labels,
        key="trade.group",
        help="Only runs measured alike can be compared; each group is one chart.",
    )
    return groups[labels.index(chosen)]


def provenance(group: TradeGroup) -> None:
    """What all numbers of the group were measured with."""
    base, p, count = group.base, group.base.protocol, len(group.runs)
    prompts = base.metrics.get("toxicity_mean", Measure(value=None)).n
    st.caption(
        plain(
            f"{count} runs of {base.model} · scorer {base.scorer} · protocol {p.name}: "
            f"{p.samples} continuations of {p.new_tokens} tokens for each of {prompts:,} held-out prompts, "
            f"top-p {p.top_p:g} · texts {', '.join(base.texts) or 'none'} · 95 % bootstrap intervals"
        )
    )


def group_arms(ws: Workspace, group: TradeGroup, text: str) -> list[Arm]:
    """The group's runs as arms, with their points for the text set `text` ("" = the main one)."""
    text = text or next(iter(group.base.texts), "")
    found = _points(str(ws.root), group.key, tuple(r.id for r in group.runs), text, ws, group)
    return arms(group.runs, found[1:])


@st.cache_data(max_entries=32, show_spinner="Resampling prompts and documents")
def _points(
    root: str, key: str, ids: tuple[str, ...], text: str, _ws: Workspace, _group: TradeGroup
) -> list[TradePoint]:
    return pipeline.trade_points(_ws, _group, text)


@st.fragment
def chart(ws: Workspace, group: TradeGroup) -> None:
    """The sentence, the plane, and beside it what each arm does to every text set."""
    names = list(group.base.texts)
    text = names[0] if names else ""
    if len(names) > 1:
        text = (
            st.segmented_control("Perplexity of", names, default=names[0], required=True, key="trade.text")
            or text
        )
    found = group_arms(ws, group, text)
    st.markdown(plain(sentence(group.base, found)))
    if any(a.seeds == 1 for a in found):
        st.badge("n = 1 seed in some arms", icon=":material/warning:", color="orange")
    said = sentence(group.base, found)
    figure = trade_off_figure(found, text=text or "the texts")
    figures.show(figure, key="trade.chart", alt=said, data=numbers(found), name="trade-off")
    _arm_table(group, found)


def _arm_table(group: TradeGroup, found: list[Arm]) -> None:
    """One row per arm, means over seeds; the perplexity of every text, as a cost may hide in one of them."""
    names = list(group.base.texts)
    rows = [{"arm": "base model", "seeds": None} | _measured([group.base], group.base, names)]
    for arm in found:
        runs = [r.evaluation for r in arm.runs if r.evaluation is not None]
        rows.append({"arm": arm.label, "seeds": arm.seeds} | _measured(runs, group.base, names))
    frame = pd.DataFrame(rows)
    column = st.column_config
    config: dict[str, Any] = {
        "arm": column.TextColumn("Mean over seeds", width=185),
        "seeds": column.NumberColumn("Seeds", width=52),
        "toxicity": column.NumberColumn("Mean toxicity", format="%.4f", width=96),
        "toxicity %": column.NumberColumn("Change", format="%+.1f %%", width=66),
    }
    family = {name.partition("-")[0] for name in names}  # "demo-normal", "demo-clean": one family
    for name in names:
        short = name.partition("-")[2] if len(names) > 1 == len(family) else name
        config[name] = column.NumberColumn(f"PPL {short}", format="%.3f", width=92, help=f"On {name}.")
        config[f"{name} %"] = column.NumberColumn("Change", format="%+.1f %%", width=66)
    st.dataframe(
        frame,
        hide_index=True,
        height=tables.height(len(frame), 9),
        column_config=config,
        alt="Mean toxicity and perplexity of every text, base model and arms, with changes",
    )
    downloads.table(frame, "arms", key="trade.arms.csv")


def _measured(runs: list[Evaluation], base: Evaluation, names: list[str]) -> dict[str, Any]:
    """Means over the runs, and their change against the base in percent."""
    toxicity, before = (_mean([e.metrics.get("toxicity_mean") for e in es]) for es in (runs, [base]))
    row: dict[str, Any] = {"toxicity": toxicity, "toxicity %": _change(toxicity, before)}
    for name in names:
        value, before = (
            _mean([e.texts.get(name, {}).get("perplexity") for e in es]) for es in (runs, [base])
        )
        row |= {name: value, f"{name} %": _change(value, before)}
    return row


def _mean(measures: list[Measure | None]) -> float | None:
    values = [m.value for m in measures if m is not None and m.value is not None]
    return sum(values) / len(values) if values else None


def _change(value: float | None, before: float | None) -> float | None:
    return None if value is None or not before else 100 * (value / before - 1)


def run_table(group: TradeGroup) -> None:
    """Every number of every run with unit, n, interval, scorer and protocol."""
    metric = st.segmented_control(
        "Number",
        list(SHOWN),
        default="toxicity_mean",
        required=True,
        format_func=SHOWN.__getitem__,
        key="trade.metric",
    )
    models: list[tuple[str, int | None, Evaluation]] = [("base", None, group.base)]
    models += [(r.label, r.manifest.spec.seed, r.evaluation) for r in group.runs if r.evaluation]
    frame = pd.DataFrame(
        [
            {
                "model": name,
                "seed": seed,
                "value": (m := e.metrics.get(str(metric), Measure(value=None))).value,
                "low": m.low,
                "high": m.high,
                "n": m.n,
                "unit": m.unit,
                "scorer": e.scorer,
                "protocol": e.protocol.name,
                "note": m.note,
            }
            for name, seed, e in models
        ]
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "model": st.column_config.TextColumn("Model", width=270),
            "value": st.column_config.NumberColumn(SHOWN[str(metric)], format="%.4g"),
            "low": st.column_config.NumberColumn("95 % low", format="%.4g"),
            "high": st.column_config.NumberColumn("95 % high", format="%.4g"),
            "n": st.column_config.NumberColumn("n", help="Prompts or documents."),
        },
        alt=f"{SHOWN[str(metric)]} of every run with its interval",
    )
    downloads.table(frame, f"{metric}", key="trade.runs.csv")


def composite_table(ws: Workspace, group: TradeGroup) -> None:
    """Composite scores of every run under the name of their definition; n/a without a full-data run."""
    if not st.toggle("Composite scores (Winnow definition v1)", key="trade.composites"):
        return
    rows = _composites(str(ws.root), group.key, tuple(r.id for r in group.runs), ws, group)
    frame = pd.DataFrame(
        [{"run": r.label} | _words(found) for r, found in zip(group.runs, rows, strict=True)]
    )
    st.dataframe(
        frame,
        hide_index=True,
        column_config={"run": st.column_config.TextColumn("Run", width="large")},
        alt="Composite scores of every run with intervals",
    )
    notes = dict.fromkeys(m.note for found in rows for m in found.values() if m.note.startswith("n/a"))
    units = dict.fromkeys(m.unit for found in rows for m in found.values())
    st.caption(plain(" · ".join((*units, *notes))))
    downloads.table(frame, "composites", key="trade.composites.csv")


@st.cache_data(max_entries=8, show_spinner="Resampling prompts and documents")
def _composites(
    root: str, key: str, ids: tuple[str, ...], _ws: Workspace, _group: TradeGroup
) -> list[dict[str, Measure]]:
    return [pipeline.run_composites(_ws, _group, run) for run in _group.runs]


def _words(found: dict[str, Measure]) -> dict[str, str]:
    return {name: pipeline.number(m) for name, m in found.items()}
