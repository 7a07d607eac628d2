"""The parts of the Map page: colours and filters, the picture, cards of what it says, the chosen rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from core import pipeline
from core.projection.polygon import box, select_by_polygon
from core.values import BEHAVIOURS, Pool, Rows
from core.workspace import Signal, Workspace
from ui import colours, figures, marks, needs, preview_view, state, tables, theme
from ui.colours import Colouring
from ui.guards import plain
from ui.masking import Mask
from ui.pool_views import any_or, contains

CHART = "map.chart"
COLOURS = ("Category", "Cluster", "Behaviour", "Toxicity", "Selected")
PICTURES = {"map": "UMAP", "map_pca": "PCA"}
CLUSTERS = {"hdbscan": "HDBSCAN", "kmeans": "k-means"}
HEIGHT = 520  # leaves the first rows of the table in sight at 800 pixels
WORDS = 4  # keywords of a cluster in a legend


@dataclass(frozen=True)
class View:
    """All that one drawing of the map needs."""

    ws: Workspace
    pool: Pool
    mask: Mask
    xy: NDArray[np.float32]  # (n, 2)
    toxicity: NDArray[np.float64] | None  # (n,)
    clusters: Signal | None
    chosen: Rows  # rows of the session's current selection


def position(ws: Workspace, pool: Pool) -> Signal:
    """Where every row lies; where it is not computed yet, the offer to make it, and the page ends."""
    space = st.session_state.get("map.picture", "map")
    found = state.find(ws, f"vectors:{space}", pool)
    if found is None:
        _picture_choice()
        st.markdown("The map places similar texts close together. It is made once, then kept.")
        request = pipeline.request_for(f"vectors:{space}", pool.name)
        needs.offer(ws, (request,), key="map.position")
        preview_view.show(ws, pool, request)
        st.stop()
    return found


def provenance(ws: Workspace, pool: Pool, position: Signal) -> None:
    """One line: how many rows, which vectors, how the picture was made and how far to trust it."""
    facts = position.facts
    request = pipeline.request_for(f"vectors:{st.session_state.get('map.picture', 'map')}", pool.name)
    parts = [f"{len(pool):,} rows of {pool.name}", pipeline.words(request)]
    if "trustworthiness" in facts:
        parts.append(f"trustworthiness {facts['trustworthiness']:.3f}")
    clusters = _clusters(ws, pool)
    if clusters is not None and "noise_share" in clusters.facts:
        parts.append(
            f"{100 * clusters.facts['noise_share']:.0f} % unclustered ({CLUSTERS[clusters.key.method]})"
        )
    st.caption(plain(" · ".join(parts)))


def _clusters(ws: Workspace, pool: Pool) -> Signal | None:
    return state.find(ws, f"cluster:{st.session_state.get('map.clusters', 'hdbscan')}", pool)


@st.fragment
def explore(ws: Workspace, pool: Pool, position: Signal) -> None:
    """The interactive part; a fragment, so that choosing rows redraws nothing else."""
    chosen, scored = state.choice(pool), state.toxicity(ws, pool)
    view = View(
        ws,
        pool,
        state.mask(ws, pool),
        np.asarray(position.array(), dtype=np.float32),
        np.asarray(scored.array(), dtype=np.float64) if scored else None,
        _clusters(ws, pool),
        state.rows_of(pool, chosen.ids) if chosen else np.zeros(0, dtype=np.int64),
    )
    colour_by, shown = _controls(view)
    picture, cards = st.columns([7, 3], gap="medium")
    colouring = _colouring(view, colour_by, cards)
    drawn: list[NDArray[np.float64]] = st.session_state.get(_drawn_key(pool), [])
    with picture:
        _chart(view, colouring, shown, colour_by)
    inside = _inside(view, shown, drawn)
    with cards:
        _legend(view, colouring, shown, inside, drawn=bool(drawn))
        example = st.container()
        _cluster_card(view, inside)
    with picture:  # under the map, where the eye is; the cards beside may be longer
        if drawn:
            _chosen_rows(view, inside, example)
        else:
            st.caption(
                "Draw a lasso (or a box: see the bar above the map) to list rows; double-click clears it."
            )


def _controls(view: View) -> tuple[str, Rows]:
    """Colour, picture and filters in one row; returns the colour chosen and the rows left by the filters."""
    first = "Category" if view.pool.categories()[0] else "Cluster"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        colour_by = st.segmented_control(
            "Colour", COLOURS, default=first, required=True, key="map.colour", persist_state="session"
        )
        _picture_choice()
        st.selectbox(
            "Clusters",
            list(CLUSTERS),
            key="map.clusters",
            format_func=CLUSTERS.__getitem__,
            width=130,
            persist_state="session",
            help="HDBSCAN reads UMAP in 10 dimensions, k-means PCA in 50; never the picture.",
        )
        with st.popover("Filter", icon=":material/filter_list:"):
            rows = _filters(view)
    return str(colour_by), rows


def _picture_choice() -> None:
    st.selectbox(
        "Picture",
        list(PICTURES),
        key="map.picture",
        format_func=PICTURES.__getitem__,
        width=110,
        persist_state="session",
    )


def _filters(view: View) -> Rows:
    """Rows to draw; text looked for stays in this session, never in the address."""
    pool = view.pool
    keep = np.isfinite(view.xy).all(axis=1)
    words = st.text_input("Find text", key="map.find", placeholder="word or phrase").strip().lower()
    wanted = st.selectbox(
        "Category", [None, *sorted(pool.categories()[0])], key="map.category", format_func=any_or
    )
    kind = st.selectbox("Behaviour", [None, *BEHAVIOURS], key="map.kind", format_func=any_or)
    if words:
        keep &= contains(pool, words)
    if wanted is not None:
        keep &= np.array([wanted in c for c in pool.frame["category"]], dtype=bool)
    if kind is not None:
        keep &= pool.column("behaviour") == kind
    if view.toxicity is not None:
        low, high = st.slider("Toxicity", 0.0, 1.0, (0.0, 1.0), 0.05, key="map.toxicity")
        if (low, high) != (0.0, 1.0):
            keep &= (view.toxicity >= low) & (view.toxicity <= high)
    return np.flatnonzero(keep)


def _colouring(view: View, colour_by: str, cards: Any) -> Colouring:
    """The colours asked for; where their signal is missing, an offer to make it, and categories."""
    pool = view.pool
    if colour_by == "Cluster" and view.clusters is not None:
        labels = np.asarray(view.clusters.array())
        words = {c: " ".join(_keywords(view, c)[:WORDS]) for c in np.unique(labels[labels >= 0]).tolist()}
        return colours.by_cluster(labels, words)
    if colour_by == "Behaviour":
        return colours.by_behaviour(pool.column("behaviour"))
    if colour_by == "Toxicity" and view.toxicity is not None:
        return colours.by_value("Toxicity", view.toxicity)
    if colour_by == "Selected":
        return colours.by_chosen(len(pool), view.chosen)
    if colour_by != "Category":
        need = "score:toxicity" if colour_by == "Toxicity" else f"cluster:{st.session_state['map.clusters']}"
        with cards:
            needs.offer(view.ws, (pipeline.request_for(need, pool.name),), key=f"map.{colour_by}")
    return colours.by_category(*pool.categories())


def _chart(view: View, colouring: Colouring, shown: Rows, colour_by: str) -> None:
    """Draw the map; a callback keeps the outline drawn on it, which Streamlit forgets with the colours."""
    st.plotly_chart(
        figures.map_figure(view.xy, colouring, shown, view.chosen, height=HEIGHT),
        key=CHART,
        on_select=partial(_keep_drawn, _drawn_key(view.pool)),
        selection_mode=("box", "lasso"),
        config=theme.CONFIG,
        alt=f"Map of {len(shown):,} rows of {view.pool.name}, coloured by {colour_by.lower()}",
    )


def _drawn_key(pool: Pool) -> str:
    """Outlines belong to one picture of one pool."""
    return f"map.drawn:{pool.fingerprint}:{st.session_state.get('map.picture', 'map')}"


def _keep_drawn(key: str) -> None:
    """Keep the outlines of boxes and lassos; the points that the browser sends along are ignored."""
    event = st.session_state.get(CHART)
    drawn = event["selection"] if event else {}
    outlines = [box(b["x"], b["y"]) for b in drawn.get("box", [])]
    outlines += [np.column_stack([lasso["x"], lasso["y"]]) for lasso in drawn.get("lasso", [])]
    st.session_state[key] = outlines


def _inside(view: View, shown: Rows, drawn: list[NDArray[np.float64]]) -> Rows:
    """The shown rows inside any outline, ascending."""
    found = [shown[select_by_polygon(view.xy[shown], outline)] for outline in drawn]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _legend(view: View, colouring: Colouring, shown: Rows, inside: Rows, *, drawn: bool) -> None:
    """What the colours mean, with counts of the rows inside the outline, else of all that are shown."""
    rows = inside if drawn else shown
    with st.container(border=True):
        st.markdown(f"**{len(rows):,} rows {'inside the outline' if drawn else 'shown'}**")
        if len(view.chosen):
            st.caption(
                f"Rings: the {len(view.chosen):,} selected rows, {np.isin(view.chosen, rows).sum():,} here."
            )
        figure, frame = figures.legend_bars(colouring, rows)
        figures.show(
            figure,
            key="map.legend",
            alt=f"Rows by {colouring.title.lower()}",
            data=frame,
            name=colouring.title.lower(),
        )


def _keywords(view: View, cluster: int) -> list[str]:
    """The words of a cluster, masked unless every row of it is known to be benign."""
    assert view.clusters is not None
    members = np.flatnonzero(np.asarray(view.clusters.array()) == cluster)
    return view.mask.words(pipeline.keywords(view.clusters).get(cluster, []), members)


def _cluster_card(view: View, inside: Rows) -> None:
    """One cluster: size, words, categories; first the one that most rows inside the outline belong to."""
    if view.clusters is None:
        return
    labels = np.asarray(view.clusters.array())
    here = labels[inside] if len(inside) else labels
    found, sizes = np.unique(here[here >= 0], return_counts=True)
    if not len(found):
        return
    order = [int(found[i]) for i in np.argsort(-sizes, kind="stable")]
    with st.container(border=True):
        cluster = st.selectbox(
            "Cluster", order, key=f"map.cluster:{len(inside)}", format_func=lambda c: f"Cluster {c}"
        )
        rows = np.flatnonzero(labels == cluster)
        st.markdown(f"**{len(rows):,} rows**")
        st.text(" · ".join(_keywords(view, int(cluster))) or "no keywords")
        figure, frame = figures.legend_bars(colours.by_category(*view.pool.categories()), rows)
        figures.show(
            figure, key="map.cluster.shares", alt=f"Cluster {cluster} by category", data=frame, name="cluster"
        )


def _chosen_rows(view: View, inside: Rows, example: DeltaGenerator) -> None:
    """The rows inside the outline: pin or ban them for the next selection, read one in full."""
    if not len(inside):
        st.info("No row lies inside the outline. Draw around some dots, or widen the filter.")
        return
    marks.buttons(view.pool, tuple(view.pool.frame["id"].iloc[inside].astype(str)))
    labels = None if view.clusters is None else np.asarray(view.clusters.array())
    extra: dict[str, list[Any]] = (
        {"selected": np.isin(inside, view.chosen).tolist()} if len(view.chosen) else {}
    )
    if labels is not None:
        extra["cluster"] = labels[inside].tolist()
    if view.toxicity is not None:
        extra["toxicity"] = tables.values(view.toxicity, inside)
    clicked = tables.show(view.pool, inside, view.mask, key="map.rows", extra=extra)
    if clicked is not None:
        facts = {} if labels is None else {"cluster": str(labels[clicked])}
        if view.toxicity is not None:
            facts["toxicity"] = theme.number(float(view.toxicity[clicked]))
        with example:
            tables.card(view.pool, clicked, view.mask, facts)
            marks.ask_why(str(view.pool.frame["id"].iloc[clicked]))
