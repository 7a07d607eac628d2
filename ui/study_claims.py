"""What the papers claim, and whether this study bears it out: a badge and the numbers that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline.claims import Claim
from core.pipeline.study_results import claims
from core.values.study import StudySpec
from ui import downloads
from ui.guards import plain
from ui.study_data import Compared

LOOKS: dict[str, tuple[Any, str]] = {
    "held": ("blue", "check_circle"),
    "did not hold": ("orange", "cancel"),
    "not distinguishable": ("gray", "balance"),
    "not measured": ("gray", "help"),
}


def view(of: Compared) -> None:
    """One card per claim; a table of all to take along."""
    if of.spec is None:
        st.info(
            "Claims are judged within one study; choose a study above. python -m core study writes one down."
        )
        return
    written = of.spec.model_dump_json()
    found = _claims(str(of.ws.root), of.group.key, of.labels, written, of, of.spec)
    if not found:
        st.info("No claim of the papers can be judged from this study.")
        return
    counts = pd.Series([c.verdict for c in found]).value_counts()
    st.caption(
        plain(
            " · ".join(f"{counts[v]} {v}" for v in LOOKS if v in counts) + f" · this study alone: {of.name}"
        )
    )
    for claim in found:
        card(claim)
    downloads.table(frame(found), f"{of.name}-claims", key="trade.claims.csv")


@st.cache_data(max_entries=16, show_spinner="Judging the claims")
def _claims(
    root: str,
    key: str,
    labels: tuple[tuple[str, str, str], ...],
    written: str,
    _of: Compared,
    _spec: StudySpec,
) -> list[Claim]:
    return claims(_of.ws, _spec, _of.known)


def card(claim: Claim) -> None:
    """The claim, its verdict, and the evidence."""
    colour, icon = LOOKS[claim.verdict]
    with st.container(border=True):
        left, right = st.columns([5, 2], vertical_alignment="center")
        left.markdown(f"**{plain(claim.sentence)}**")
        right.badge(claim.verdict, icon=f":material/{icon}:", color=colour)
        st.caption(plain(claim.evidence))


def frame(found: Sequence[Claim]) -> pd.DataFrame:
    """One line per claim."""
    return pd.DataFrame([{"claim": c.sentence, "verdict": c.verdict, "evidence": c.evidence} for c in found])
