"""The parts of the Trade-off page: one comparable group of runs, its chart, its tables."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import pipeline
from core.evaluation import TradePoint
from core.pipeline import TradeGroup
from core.values import Evaluation, Measure
from core.workspace import Workspace
from ui import downloads, figures
from ui.arms import Arm, arms, sentence
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
    if any(len(a.points) == 1 for a in found):
        st.badge("n = 1 seed in some arms", icon=":material/warning:", color="orange")
    left, right = st.columns([7, 4], gap="medium")
    with left:
        figures.show(
            trade_off_figure(found, text=text or "the texts"),
            key="trade.chart",
            alt="Toxicity reduction against perplexity increase: " + sentence(group.base, found),
            data=numbers(found),
            name="trade-off",
        )
    with right:
        _arm_table(found)
        _text_table(ws, group, names)


def _arm_table(found: list[Arm]) -> None:
    """One row per arm: means over seeds."""
    frame = pd.DataFrame(
        [
            {
                "arm": a.label,
                "seeds": len(a.points),
                "reduction %": _share(m.reduction) if (m := a.mean) else None,
                "perplexity %": _share(m.ppl_increase) if m else None,
            }
            for a in found
        ]
    )
    st.markdown("**Means over seeds**")
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "arm": st.column_config.TextColumn("Arm", width="medium"),
            "seeds": st.column_config.NumberColumn("Seeds", width="small"),
            "reduction %": st.column_config.NumberColumn(
                "Reduction", format="%.1f %%", help="Of the base model's mean toxicity."
            ),
            "perplexity %": st.column_config.NumberColumn(
                "Perplexity", format="%+.1f %%", help="Change against the base model."
            ),
        },
        alt="Mean toxicity reduction and perplexity change per arm",
    )


def _text_table(ws: Workspace, group: TradeGroup, names: list[str]) -> None:
    """The perplexity of every text set, base and arms side by side: a cost may hide in one of them."""
    rows: list[dict[str, object]] = [{"model": "base"} | {n: _value(group.base, n) for n in names}]
    for arm in group_arms(ws, group, names[0] if names else ""):
        means: dict[str, object] = {}
        for name in names:
            values = [v for r in arm.runs if r.evaluation and (v := _value(r.evaluation, name)) is not None]
            means[name] = sum(values) / len(values) if values else None
        rows.append({"model": arm.label} | means)
    frame = pd.DataFrame(rows)
    st.markdown("**Perplexity of each text**")
    st.dataframe(
        frame,
        hide_index=True,
        column_config={"model": st.column_config.TextColumn("Model", width="medium")}
        | {n: st.column_config.NumberColumn(n, format="%.3f") for n in names},
        alt="Perplexity of each text set, base model and arms",
    )
    downloads.table(frame, "perplexities", key="trade.texts.csv")


def _value(evaluation: Evaluation, text: str) -> float | None:
    found = evaluation.texts.get(text, {}).get("perplexity")
    return found.value if found else None


def _share(m: Measure) -> float | None:
    return None if m.value is None else 100 * m.value


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
            "model": st.column_config.TextColumn("Model", width="large"),
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


def best_line(ws: Workspace, groups: list[TradeGroup]) -> str:
    """One sentence for the overview, from the largest group."""
    group = max(groups, key=lambda g: len(g.runs))
    return sentence(group.base, group_arms(ws, group, ""))
