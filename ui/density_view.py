"""Error density of a model as bars: where the bad texts' gradient lies, by depth or sorted."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import pipeline
from core.jobs import ENDED, Jobs
from core.pipeline.densities import BlockDensity, DensitySpec, find_density
from core.repair.density import DensityParams, density, relative
from core.values import Pool
from core.workspace import Workspace
from ui import figures, job_panel, theme
from ui.guards import plain
from ui.measuring_form import with_default

BY_DEPTH, SORTED = "by depth", "sorted"
DEFAULT_ROWS = 500  # a look takes a minute on a small model; the paper's 2,000 can be typed


def show(ws: Workspace, pool: Pool) -> None:
    """Choose a model, measure it once, look at its blocks."""
    with st.expander("Where does the error lie? Error density of a model", icon=":material/bar_chart:"):
        left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
        names = with_default(pipeline.models(ws), pipeline.default_model(ws, pool.name))
        kept = [f"run:{r.id}" for r in pipeline.runs(ws) if (r.folder / "model").is_dir()]
        model = left.selectbox("Model", [*names, *kept], key="density.model", accept_new_options=True)
        rows = middle.number_input("Bad texts", 1, value=DEFAULT_ROWS, key="density.rows")
        spec = DensitySpec(pool=pool.name, model=str(model), params=DensityParams(rows=int(rows)))
        found = find_density(ws, spec)
        plain_spec = spec.model_dump(mode="json")
        if found is None:
            _measure(ws, plain_spec, right)
            return
        right.caption(plain(f"measured on {found.rows:,} train rows of {found.pool}"))
        _chart(found)


def _measure(ws: Workspace, spec: dict[str, Any], place: Any) -> None:
    """The button, or the job that goes on."""
    job = job_panel.last(ws, "density", spec)
    if place.button(
        "Measure",
        key="density.start",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=job is not None and job.state not in ENDED,
        help="One backward pass per bad text; the model is not changed.",
    ):
        Jobs(ws).submit("density", spec, f"error density of {spec['model']}", once=True)
        st.rerun()
    if job is None:
        st.caption(
            "Each bar will be one transformer block: how strongly the bad texts' loss pulls at its weights. "
            "Where one block stands out, repairing only that block disturbs the model least."
        )
    elif job.state != "succeeded":
        job_panel.show(ws, job.id, key="density.job")


def _chart(found: BlockDensity) -> None:
    means = [block.value or 0.0 for block in found.blocks]
    summed = density(means)
    one, two, three = st.columns(3)
    one.metric(
        "Top fifth against the rest",
        "n/a" if summed.percent != summed.percent else f"{summed.percent:+.0f} %",
        help="Mean relative sensitivity of the worst fifth of the blocks over that of the others.",
    )
    two.metric("Second block behind the first", f"{summed.margin:.1f} %")
    three.metric("Strongest block", f"{summed.blocks[0]} of {len(means)}")
    order = st.segmented_control(
        "Blocks", [BY_DEPTH, SORTED], default=BY_DEPTH, required=True, key="density.order"
    )
    frame = density_frame(found)
    if order == SORTED:
        frame = frame.sort_values("relative %", ascending=False, kind="stable")
    figures.show(
        density_figure(frame),
        key="density.chart",
        alt=f"Relative sensitivity of {len(means)} blocks of {found.model}; the worst fifth is "
        f"{summed.percent:.0f} percent denser than the rest",
        data=frame,
        name="error-density",
    )
    st.caption(
        plain(
            f"Mean over {found.rows:,} bad texts of each text's gradient norm, in percent of the largest "
            "block; the worst fifth is marked; whiskers are 95 % intervals over texts. IRepair, figure 2."
        )
    )


def density_frame(found: BlockDensity) -> pd.DataFrame:
    """One row per block: relative sensitivity with its interval, both estimators, whether it is marked."""
    means = [block.value or 0.0 for block in found.blocks]
    largest = max(means, default=0.0) or 1.0
    top = set(density(means).blocks)
    return pd.DataFrame(
        {
            "block": range(len(means)),
            "relative %": relative(means),
            "low %": [
                100 * (b.low if b.low is not None else v) / largest
                for b, v in zip(found.blocks, means, strict=True)
            ],
            "high %": [
                100 * (b.high if b.high is not None else v) / largest
                for b, v in zip(found.blocks, means, strict=True)
            ],
            "mean of norms": means,
            "norm of mean": list(found.of_mean),
            "top fifth": [number in top for number in range(len(means))],
        }
    )


def density_figure(frame: pd.DataFrame, height: int = 260) -> go.Figure:
    """Bars in the frame's order; the worst fifth in the accent colour."""
    marked = {True: theme.grey("accent"), False: theme.grey("other")}
    figure = go.Figure(
        go.Bar(
            x=[str(b) for b in frame["block"]],
            y=frame["relative %"],
            marker={"color": [marked[bool(t)] for t in frame["top fifth"]], "line": {"width": 0}},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": frame["high %"] - frame["relative %"],
                "arrayminus": frame["relative %"] - frame["low %"],
                "color": theme.grey("ring"),
                "thickness": 1,
                "width": 3,
            },
            hovertemplate="block %{x}: %{y:.1f} %<extra></extra>",
        )
    )
    figure.update_layout(
        **theme.layout(
            height,
            bargap=0.3,
            margin={"l": 8, "r": 8, "t": 8, "b": 8},
            xaxis={"title": {"text": "block"}, "type": "category", "fixedrange": True},
            yaxis={"title": {"text": "relative sensitivity"}, "ticksuffix": " %", "fixedrange": True},
        )
    )
    return figure
