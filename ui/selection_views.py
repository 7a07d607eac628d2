"""The parts of the Selection page: the recipe's form, what it chose, and keeping it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import pipeline
from core.errors import MissingInput
from core.labelling import LABELLERS
from core.repair import METHODS
from core.selection import STRATEGIES
from core.selection.diagnostics import Balance, balance, coverage_radius, label_balance, redundancy
from core.values import FLAGS, Budget, Pool, Reason, Recipe, Rows, Selection
from core.workspace import Workspace
from ui import colours, downloads, figures, state, tables, theme
from ui.guards import link, plain
from ui.params_form import params_form

CLUSTERS = ("hdbscan", "kmeans")  # the first that is there is shown
LIMIT = 14  # bars of one chart
FIRST = "uniform"  # needs no signal, so the page shows something at once


def recipe_form(ws: Workspace, pool: Pool) -> Recipe:
    """Everything that decides the selection; the form of a strategy is drawn from its settings."""
    names = sorted(STRATEGIES, key=lambda s: (s != FIRST, s))
    strategy = st.selectbox("Strategy", names, key="strategy", format_func=_title, bind="query-params")
    spec = STRATEGIES[strategy]
    if spec.label:
        st.badge(spec.label, help="The source does not say enough to repeat it exactly.", color="orange")
    st.caption(plain(f"Source: {spec.source}"))
    method = st.selectbox(
        "For the repair method",
        list(METHODS),
        key="selection.method",
        index=_first_method(pool),
        format_func=lambda m: METHODS[m].title,
        help="Only rows with the columns this method learns from are eligible.",
        persist_state="session",
    )
    eligible = len(pipeline.eligibility(pool, method).rows)
    if not eligible:
        needs = " and ".join(n for n in METHODS[method].needs if n != "prompt") or "a text"
        raise MissingInput(
            f"{METHODS[method].title} needs {needs} in every row, and no train row of {pool.name} has that; "
            "choose another method, or import a pool with those columns."
        )
    budget = _budget(eligible)
    seed = st.number_input("Seed", 0, value=0, key="selection.seed", persist_state="session")
    with st.expander("Settings", icon=":material/tune:", expanded=bool(spec.params.model_fields)):
        if not spec.params.model_fields:
            st.caption("This strategy has none.")
        params = params_form(spec.params, f"strategy.{strategy}")
        labeller = _labeller(pool) if "column:behaviour" in spec.needs(params) else ""
    return Recipe(
        pool=pool.name,
        strategy=strategy,
        params=params.model_dump(mode="json"),
        budget=budget,
        seed=int(seed),
        method=method,
        pins=_marks(pool, state.PINS, "pinned"),
        bans=_marks(pool, state.BANS, "banned"),
        labeller=labeller,
    )


def _labeller(pool: Pool) -> str:
    """Which labeller fills the flags that the pool's source does not give; none where it gives all."""
    unknown = [flag for flag in FLAGS if (pool.column(flag) == "not_run").any()]
    fitting = [name for name in LABELLERS if set(LABELLERS[name].flags) & set(unknown)]
    if not fitting:
        return ""
    chosen = st.selectbox(
        "Unknown flags",
        ["", *fitting],
        key="selection.labeller",
        format_func=lambda name: LABELLERS[name].title if name else "leave unknown",
        help=f"Not known for every row: {', '.join(unknown)}.",
    )
    if chosen and LABELLERS[chosen].weak:
        st.caption(plain(LABELLERS[chosen].weak))
    return str(chosen)


def _first_method(pool: Pool) -> int:
    """The first method this pool has rows for, preference pairs first."""
    names = list(METHODS)
    order = sorted(range(len(names)), key=lambda i: (names[i] != "dpo", i))
    return next((i for i in order if len(pipeline.eligibility(pool, names[i]).rows)), order[0])


def _title(strategy: str) -> str:
    spec = STRATEGIES[strategy]
    label = f" · {spec.label}" if spec.label and spec.label not in spec.title else ""
    return spec.title + label


def _budget(eligible: int) -> Budget:
    """Rows, or percent of the eligible rows."""
    unit = st.segmented_control(
        "Budget",
        ["percent", "rows"],
        default="percent",
        required=True,
        key="selection.unit",
        persist_state="session",
    )
    if unit == "rows" and eligible > 1:
        start = min(max(eligible // 10, 1), eligible)
        rows = st.slider("Rows", 1, eligible, start, key="selection.rows", label_visibility="collapsed")
        return Budget(rows=int(rows), percent=None)
    percent = st.slider(
        "Percent of the eligible rows",
        0.5,
        100.0,
        10.0,
        0.5,
        format="%g %%",
        key="selection.percent",
        label_visibility="collapsed",
        persist_state="session",
    )
    budget = Budget(rows=None, percent=float(percent))
    st.caption(f"{budget.count(eligible):,} of {eligible:,} eligible rows")
    return budget


def _marks(pool: Pool, kind: str, word: str) -> tuple[str, ...]:
    """The rows pinned or banned on the map, with a button that forgets them."""
    ids = state.marked(kind, pool)
    if ids and st.button(f"{len(ids):,} rows {word}: forget them", key=f"selection.{word}", type="tertiary"):
        state.mark(kind, pool, ())
        st.rerun()
    return ids


def choose(ws: Workspace, pool: Pool, recipe: Recipe) -> Selection:
    """The recipe's selection, computed once per recipe and pool."""
    return _choose(str(ws.root), pool.fingerprint, pool.split_hash, recipe.model_dump_json(), ws, recipe)


@st.cache_data(max_entries=32, show_spinner="Choosing rows")
def _choose(root: str, fingerprint: str, split: str, key: str, _ws: Workspace, _recipe: Recipe) -> Selection:
    return pipeline.choose(_ws, _recipe)


def numbers(ws: Workspace, pool: Pool, found: Selection) -> None:
    """How many, of how many, and how well they cover the pool."""
    share = 100 * len(found.ids) / found.eligible if found.eligible else 0.0
    with st.container(horizontal=True, key="selection.numbers"):
        st.metric("Selected", f"{len(found.ids):,}", width=95, help=f"{share:.3g} % of the eligible rows.")
        st.metric("Eligible", f"{found.eligible:,}", width=92, help="Train rows this method can learn from.")
        covered = _coverage(ws, pool, found)
        if covered is not None:
            st.metric("Coverage radius", theme.number(covered[0]), width=138, help=COVERAGE)
            st.metric("Redundancy", theme.number(covered[1]), width=112, help=REDUNDANCY)
    if found.left_out:
        st.caption(
            plain(
                f"Left out {len(pool) - found.eligible:,}: "
                + " · ".join(f"{n:,} {why}" for why, n in found.left_out.items())
            )
        )
    if found.shortfall:
        st.warning(f"{found.shortfall:,} rows of the budget could not be filled.")
    for warning in found.warnings:
        st.warning(plain(warning))


COVERAGE = "Distance from the worst covered row to its nearest selected one, in PCA-50; lower is better."
REDUNDANCY = "Mean cosine of a selected row to the most similar other one, in PCA-50; lower is more varied."


def _coverage(ws: Workspace, pool: Pool, found: Selection) -> tuple[float, float] | None:
    space = state.find(ws, "vectors:pca50", pool)
    if space is None or not found.ids:
        return None
    return _measure(found.key, space.key.digest, pool, found, np.asarray(space.array()))


@st.cache_data(max_entries=64, show_spinner=False)
def _measure(key: str, digest: str, _pool: Pool, _found: Selection, _x: np.ndarray) -> tuple[float, float]:
    eligible = pipeline.eligibility(_pool, _found.recipe.method).rows
    place = {int(r): i for i, r in enumerate(eligible)}
    rows = np.array([place[int(r)] for r in state.rows_of(_pool, _found.ids)], dtype=np.int64)
    return coverage_radius(_x[eligible], rows), redundancy(_x[eligible], rows)


def keep(ws: Workspace, found: Selection) -> None:
    """Store it, take its recipe along, go on to the repair."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save selection", type="primary", icon=":material/bookmark:", key="selection.save"):
            pipeline.save_selection(ws, found)
            st.toast(f"Selection {found.key} saved.")
        downloads.document(found.recipe, f"recipe-{found.key}", key="selection.recipe", label="Recipe (json)")
        downloads.document(
            found, f"selection-{found.key}", key="selection.json", label="Rows and reasons (json)"
        )
        link("repair", "Repair with it")


@st.fragment
def picture(ws: Workspace, pool: Pool, found: Selection) -> None:
    """What was chosen: shares against the pool, the map, or the rows."""
    what = st.segmented_control(
        "Show",
        ["Shares", "Map", "Rows"],
        default="Shares",
        required=True,
        key="selection.show",
        label_visibility="collapsed",
    )
    rows = state.rows_of(pool, found.ids)
    if what == "Shares":
        _shares(ws, pool, found, rows)
    elif what == "Map":
        _map(ws, pool, rows)
    else:
        _rows(ws, pool, found, rows)


def _shares(ws: Workspace, pool: Pool, found: Selection, rows: Rows) -> None:
    """Categories and clusters of the selection against all eligible rows."""
    eligible = pipeline.eligibility(pool, found.recipe.method).rows
    place = np.full(len(pool), -1)
    place[eligible] = range(len(eligible))
    chosen = place[rows]
    names, member = pool.categories()
    extended = np.column_stack([member, ~member.any(axis=1)])[eligible]
    left, right = st.columns(2, gap="medium")
    with left:
        _bars("category", balance(extended, (*names, colours.NONE), chosen))
    with right:
        kind = next((c for c in CLUSTERS if state.find(ws, f"cluster:{c}", pool)), None)
        if kind is None:
            _bars("behaviour", label_balance(pool.column("behaviour")[eligible].astype(str), chosen))
            return
        signal = state.find(ws, f"cluster:{kind}", pool)
        assert signal is not None  # found above
        labels = np.asarray(signal.array())[eligible]
        titles = {str(c): f"cluster {c}" for c in range(labels.max(initial=-1) + 1)}
        _bars(f"cluster ({kind})", label_balance(labels, chosen), titles | {"-1": colours.NOISE})


def _bars(what: str, found: Balance, titles: dict[str, str] | None = None) -> None:
    names = [(titles or {}).get(n, n) for n in found.names]
    figure, frame = figures.share_bars(
        names, (100 * found.selected_share).tolist(), (100 * found.pool_share).tolist(), limit=LIMIT
    )
    frame = frame.assign(**_counts(found, names, frame))
    more = f", the {LIMIT} largest of {len(names)}" if len(names) > LIMIT else ""
    st.markdown(plain(f"By {what}{more}"))
    st.caption(f"KL divergence {theme.number(found.kl)} nats (0 = the eligible rows' mix)")
    alt = f"Share of the selection and of the eligible rows by {what}"
    figures.show(
        figure,
        key=f"selection.by.{what.split()[0]}",
        alt=alt,
        data=frame,
        name=f"selection-by-{what.split()[0]}",
    )


def _counts(found: Balance, names: list[str], frame: pd.DataFrame) -> dict[str, list[int]]:
    place = {n: i for i, n in enumerate(names)}
    order = [place[n] for n in frame["group"]]
    return {"selected": found.selected_rows[order].tolist(), "eligible": found.pool_rows[order].tolist()}


def _map(ws: Workspace, pool: Pool, rows: Rows) -> None:
    position = state.find(ws, "vectors:map", pool)
    if position is None:
        st.info("The map of this pool is not computed yet.")
        link("map", "Make it on the Map page")
        return
    colouring = colours.by_category(*pool.categories())
    left, right = st.columns([5, 3], gap="small")
    with left:
        figure = figures.map_figure(
            np.asarray(position.array()), colouring, np.arange(len(pool)), rows, height=480
        )
        figures.show(
            figure, key="selection.map", alt=f"Map of {pool.name}; rings mark the {len(rows):,} selected rows"
        )
    with right:
        st.markdown("**Selected rows by category**")
        figure, frame = figures.legend_bars(colouring, rows)
        figures.show(
            figure, key="selection.map.legend", alt="Selected rows by category", data=frame, name="selected"
        )


def _rows(ws: Workspace, pool: Pool, found: Selection, rows: Rows) -> None:
    """Every chosen row, in the order chosen, with why."""
    mask = state.mask(ws, pool)
    clicked = tables.show(
        pool, rows, mask, key="selection.rows.table", extra=_reasons(found.reasons), most=10
    )
    if clicked is not None:
        tables.card(pool, clicked, mask, {})


def _reasons(reasons: tuple[Reason, ...]) -> dict[str, list[Any]]:
    """Columns of the reasons; those no row has are left out."""
    columns: dict[str, list[Any]] = {
        "rank": list(range(1, len(reasons) + 1)),
        "why": [r.role for r in reasons],
        "for category": [r.category or "" for r in reasons],
        "cluster": [r.cluster for r in reasons],
        "bin": [r.bin for r in reasons],
        "score": [None if r.score is None else round(r.score, 4) for r in reasons],
        "shares": [" ".join(f"{k} {100 * v:.0f} %" for k, v in r.shares.items()) for r in reasons],
    }
    return {name: values for name, values in columns.items() if any(v not in (None, "") for v in values)}
