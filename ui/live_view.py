"""The live view of a run: small charts of all it has told so far, and its samples before and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.jobs import read_metrics
from core.repair import METHODS
from core.workspace import read_json
from ui import downloads, figures, live_figures, live_rows, state, theme
from ui.guards import plain
from ui.live_rows import Live, Row
from ui.masking import mask

Chart = tuple[str, go.Figure, str]  # key, figure, what it shows
MIB, GIB = 2**20, 2**30
STEADY = 60  # points of a line that jumps with every batch
SAMPLE_PX = 62  # height of a sample's row: two to three lines of text


def show_run(folder: Path, key: str) -> None:
    """Draw what a finished run's folder tells, as it was drawn while the run went on."""
    rows, _ = read_metrics(folder)
    path = folder / "spec.json"
    draw(rows, key=key, spec=read_json(path) if path.is_file() else {})


def draw(rows: Sequence[Row], *, key: str, spec: Mapping[str, Any]) -> None:
    """All charts for which there are rows; nothing where there are none."""
    names = live_rows.phases(rows)
    live = live_rows.read(rows, _phase(names, key))
    if not (len(live.steps) or len(live.validation) or len(live.panel)):
        return
    _facts(live)
    _warnings(live, _beta(spec))
    if live.sensitivity.shape[1] and "block" in live.steps:
        figures.show(live_figures.heat_map(live), key=f"{key}.blocks", alt=_blocks_words(live))
    _grid([chart for make in CHARTS for chart in make(live, _beta(spec))], key, live)
    _samples(live, key)
    _numbers(live, key)


def _phase(names: list[str], key: str) -> str:
    """The phase to draw: the latest one, unless another is chosen."""
    if len(names) == 1:
        return names[0]
    picked = st.segmented_control(
        "Phase",
        names,
        default=names[-1],
        key=f"{key}.phase.{len(names)}",
        format_func=lambda n: n.replace("_", " ") or "first",
        label_visibility="collapsed",
    )
    return str(picked if picked is not None else names[-1])


def _beta(spec: Mapping[str, Any]) -> float | None:
    """The beta of a preference method's spec, its default where the spec names none; else None."""
    given = (spec.get("params") or {}).get("beta")
    method = str(spec.get("method", ""))
    if given is None and method in METHODS:
        field = METHODS[method].params.model_fields.get("beta")
        given = field.default if field is not None else None
    return float(given) if given else None


def _facts(live: Live) -> None:
    """Where the run is and how fast, as numbers with units; the progress bar above tells of how many."""
    found: list[tuple[str, str, str]] = []
    if len(live.steps):
        found.append(("Step", f"{int(live.steps['step'].iloc[-1]):,}", "Training steps done."))
    for label, name, unit, words in (
        ("Tokens / s", "tokens_per_second", "", "Tokens trained on per second"),
        ("Step time", "step_ms", " ms", "Time of one step"),
    ):
        if (speed := live_rows.recent(live.steps, name)) is not None:
            text = theme.number(round(speed)) if speed >= 10 else theme.number(speed, 2)  # noqa: PLR2004
            found.append((label, text + unit, f"{words}, median of the last {live_rows.RECENT} steps."))
    if "peak_bytes" in live.steps and (peak := live.steps["peak_bytes"].max()) == peak:
        found.append(("Memory", memory(float(peak)), "Peak so far: of the GPU, or of the process."))
    if len(counts := live_rows.blocks(live)):
        visited = f"{(counts > 0).sum()} of {len(counts)}"
        found.append(("Blocks", visited, "Blocks that moved so far; memory grows with each new one."))
    if since := live_rows.patience(live.validation):
        found.append(("Patience", since, "Validations since the best one, and after how many it stops."))
    with st.container(horizontal=True, gap="small"):
        for label, value, words in found:
            st.metric(label, value, width="content", help=words)


def memory(size: float) -> str:
    """Bytes as MiB or GiB."""
    return f"{theme.number(size / GIB)} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def _warnings(live: Live, beta: float | None) -> None:
    if words := live_rows.gaps(live.steps):
        st.warning(plain(words), icon=":material/warning:")
    if beta and (words := live_rows.alarm(live.steps, beta)):
        st.warning(plain(words), icon=":material/trending_down:")
    for icon, sentence in (
        ("save", next(iter(live.saved[-1:]), "")),
        ("info", live.note),
        ("ac_unit", live_rows.first_moves(live.steps)),
    ):
        if sentence:
            st.caption(f":material/{icon}: {plain(sentence[0].upper() + sentence[1:])}")


def _losses(live: Live, beta: float | None) -> list[Chart]:
    if not len(live.steps):
        return []
    names = ["loss", *live.terms]
    frame = live_rows.thin(live.steps, names)
    title = "Loss" if len(names) == 1 else "Loss and its parts"
    words = f"{title} over {len(live.steps):,} steps"
    return [("loss", live_figures.lines(frame, live_figures.colours(names), title), words)]


def _validation(live: Live, beta: float | None) -> list[Chart]:
    if not len(live.validation):
        return []
    figure = live_figures.validation(live.validation)
    return [("validation", figure, f"{len(live.validation)} validations, lower is better")]


def _panel(live: Live, beta: float | None) -> list[Chart]:
    """Each measure of the fixed panel in a chart of its own: they share no unit."""
    charts = []
    for name, title, colour in (
        ("toxicity", "Panel toxicity, mean score", theme.PALETTE[5]),
        ("perplexity", "Panel perplexity", theme.PALETTE[0]),
        ("kl", "Panel KL to the untouched model", theme.PALETTE[3]),
    ):
        if name not in live.panel or not live.panel[name].notna().any():
            continue
        at_start = live.panel.loc[live.panel["step"] == 0, name]
        before = float(at_start.iloc[0]) if len(at_start) and name != "kl" else None
        figure = live_figures.lines(live.panel, {name: colour}, title, dashed=before)
        charts.append((f"panel.{name}", figure, f"{title}; dashed: before training"))
    return charts


def _kl(live: Live, beta: float | None) -> list[Chart]:
    if "kl" not in live.steps:
        return []
    frame = live_rows.thin(live.steps, ["kl"])
    title = "KL on normal text, in training"
    return [("kl", live_figures.lines(frame, {"kl": theme.PALETTE[3]}, title), f"{title}, by step")]


def _preferences(live: Live, beta: float | None) -> list[Chart]:
    """How DPO moves both sides from where they began, and how often the chosen one leads."""
    if not beta or "reward_good" not in live.steps:
        return []
    frame = live_rows.thin(live_rows.shifts(live.steps, beta), ["chosen", "rejected"])
    sides = {"chosen": theme.PALETTE[2], "rejected": theme.PALETTE[5]}
    title = "Log-prob. shift"
    charts = [
        ("sides", live_figures.lines(frame, sides, title, dashed=0.0), "Log-probability against step 0, nats")
    ]
    rate = live_rows.thin(live.steps, ["accuracy"])
    title = "Chosen ahead of rejected, share"
    figure = live_figures.lines(rate, {"accuracy": theme.PALETTE[0]}, title, dashed=0.5)
    return [*charts, ("accuracy", figure, f"{title} of each batch; dashed: one half")]


def _margin(live: Live, beta: float | None) -> list[Chart]:
    """By how much the most sensitive block leads, and how many blocks were visited so far."""
    lead = live_rows.margins(live.sensitivity)
    if not len(lead) or not pd.Series(lead).notna().any():
        return []
    frame = live_rows.thin(pd.DataFrame({"step": live.steps["step"], "margin": lead}), ["margin"], STEADY)
    title = "First block's S ahead of the second"
    figure = live_figures.lines(frame, {"margin": theme.PALETTE[1]}, title, unit=" %")
    figure.update_yaxes(ticksuffix=" %")
    return [("margin", figure, f"{title}, percent of the first")]


CHARTS: tuple[Callable[[Live, float | None], list[Chart]], ...] = (
    _losses,
    _validation,
    _panel,
    _kl,
    _preferences,
    _margin,
)


def _blocks_words(live: Live) -> str:
    counts = live_rows.blocks(live)
    return f"Sensitivity of {len(counts)} blocks over {len(live.steps):,} steps, the chosen one marked"


def _grid(charts: Sequence[Chart], key: str, live: Live) -> None:
    """Two charts in a row, all over the same steps."""
    steps = [frame["step"].max() for frame in (live.steps, live.validation, live.panel) if len(frame)]
    for at in range(0, len(charts), 2):
        for place, (name, figure, words) in zip(st.columns(2), charts[at : at + 2], strict=False):
            with place:
                last = max(*steps, 1)
                figure.update_xaxes(range=[-0.02 * last, 1.03 * last])  # dots at both ends stay whole
                figures.show(figure, key=f"{key}.{name}", alt=words)


def _samples(live: Live, key: str) -> None:
    """The panel's continuations before training and now, masked until the session reveals text."""
    frame = live_rows.side_by_side(live)
    if not len(frame):
        return
    step = live.samples[-1][0]
    later = f"Now (step {step:,})" if step else "Now"
    shown = _masked(frame)
    column = st.column_config
    st.dataframe(
        shown,
        key=f"{key}.samples",
        hide_index=True,
        row_height=SAMPLE_PX,
        height=SAMPLE_PX * min(len(shown), 4) + 38,
        column_config={
            "prompt": column.TextColumn("Prompt", width=116),
            "before": column.TextColumn("Before", width=142),
            "toxicity before": column.NumberColumn("Tox.", format="%.2f", width=48),
            "now": column.TextColumn(later, width=142),
            "toxicity now": column.NumberColumn("Tox.", format="%.2f", width=48),
        },
        alt=f"{len(shown)} continuations of the panel's prompts before training and at step {step}",
    )


def _masked(frame: pd.DataFrame) -> pd.DataFrame:
    """The samples as they may be shown: a model's continuation is never known to be benign."""
    if state.revealed():
        return frame
    texts = ["prompt", "before", "now"]
    return frame.assign(**{name: [mask(text) for text in frame[name]] for name in texts})


def _numbers(live: Live, key: str) -> None:
    """Everything drawn, to take along."""
    told = {
        "steps": live.steps,
        "sensitivity": pd.DataFrame(
            live.sensitivity, columns=[f"block {b}" for b in range(live.sensitivity.shape[1])]
        ).assign(step=live.steps["step"]),
        "validation": live.validation,
        "panel": live.panel,
        "samples": _masked(live_rows.side_by_side(live)),
    }
    with st.popover("Numbers (csv)", icon=":material/download:", type="tertiary"):
        for name, frame in told.items():
            if len(frame) and len(frame.columns) > 1:
                downloads.table(frame, f"run-{name}", key=f"{key}.{name}.csv", label=name.capitalize())
