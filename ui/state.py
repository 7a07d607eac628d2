"""What one session holds: current pool, choice, pins, the reveal switch; and cached reads of core."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core import pipeline
from core.errors import UnknownName
from core.pipeline import Choice
from core.pool import PoolSummary
from core.values import Pool, Recipe, Rows, Selection
from core.workspace import Signal, Workspace
from ui.masking import Mask, benign

POOL, REVEAL, CHOICE, PINS, BANS = "pool", "reveal", "choice", "pins", "bans"


def workspace() -> Workspace:
    """The workspace of this app (a session may be given another one, as the tests do)."""
    return cast(Workspace, st.session_state.get("workspace")) or Workspace.open()


def pool_names(ws: Workspace) -> list[str]:
    """Names of all pools, the demo's own first."""
    found = pipeline.pools(ws)
    return [
        p.name for p in sorted(found, key=lambda p: (not p.shipped, not p.name.startswith("demo"), p.name))
    ]


def current_pool(ws: Workspace) -> str | None:
    """The pool chosen in the sidebar, else the first one, else None."""
    names = pool_names(ws)
    wanted = st.session_state.get(POOL)
    return wanted if wanted in names else next(iter(names), None)


def seed(key: str, value: Any) -> None:
    """Give a widget its first value. Later runs leave it alone, so a callback may set it: undo does."""
    if key not in st.session_state:
        st.session_state[key] = value


def show_pool(name: str) -> None:
    """Make `name` the current pool from the next run on (widgets of this run keep theirs)."""
    st.session_state["next_pool"] = name


def revealed() -> bool:
    """Whether this session's one reveal switch is on."""
    return bool(st.session_state.get(REVEAL, False))


def summary(ws: Workspace, name: str) -> PoolSummary:
    """The stored facts of a pool."""
    for found in pipeline.pools(ws):
        if found.name == name:
            return found
    raise UnknownName(f"no pool named {name!r}; import one on the Pool page")


def read_pool(ws: Workspace, name: str) -> Pool:
    """The pool, read once per content; nobody may write into its frame."""
    return _pool(str(ws.root), name, summary(ws, name).fingerprint, ws)


@st.cache_resource(max_entries=4, show_spinner="Reading the pool")
def _pool(root: str, name: str, fingerprint: str, _ws: Workspace) -> Pool:
    return pipeline.pool(_ws, name)


def find(ws: Workspace, need: str, pool: Pool, **changes: object) -> Signal | None:
    """The stored signal that meets a need ("vectors:map", "cluster:kmeans", "score:toxicity"), or None."""
    request = pipeline.request_for(need, pool.name).model_copy(update=changes)
    return pipeline.find_signal(ws, request, pool)


def toxicity(ws: Workspace, pool: Pool) -> Signal | None:
    """The stored toxicity of every row's answer, or None."""
    return find(ws, "score:toxicity", pool)


def mask(ws: Workspace, pool: Pool) -> Mask:
    """What of this pool may be shown now."""
    sides = ("rejected", "prompt")
    signals = [toxicity(ws, pool), *(find(ws, "score:toxicity", pool, params={"text": t}) for t in sides)]
    digests = tuple(s.key.digest if s else "" for s in signals)
    return Mask(_safe(pool.fingerprint, digests, pool, signals), revealed())


@st.cache_resource(max_entries=8, show_spinner=False)
def _safe(
    fingerprint: str, digests: tuple[str, ...], _pool: Pool, _signals: list[Signal | None]
) -> NDArray[np.bool_]:
    return benign(_pool, *(s.array() if s else None for s in _signals))


def choice(pool: Pool) -> Selection | None:
    """The selection this session last made on this very pool, or None."""
    found = cast("Selection | None", st.session_state.get(CHOICE))
    return found if found is not None and found.pool_fingerprint == pool.fingerprint else None


def choose(found: Selection | None) -> None:
    """Make `found` the session's current selection."""
    st.session_state[CHOICE] = found


@st.cache_resource(max_entries=4, show_spinner=False)
def _desk(root: str, _ws: Workspace) -> pipeline.Desk:
    return pipeline.Desk(_ws)


def desk(ws: Workspace) -> pipeline.Desk:
    """The workspace's desk, one for all sessions of this process."""
    return _desk(str(ws.root), ws)


def chosen(ws: Workspace, recipe: Recipe) -> Choice:
    """The recipe's choice; the desk has the last ones at hand."""
    with st.spinner("Choosing rows"):
        return desk(ws).choose(recipe)


def places(pool: Pool) -> dict[str, int]:
    """Row id -> row number; shared by all, nobody may write into it."""
    return _places(pool.fingerprint, pool)


def rows_of(pool: Pool, ids: tuple[str, ...]) -> Rows:
    """Row numbers of the ids, in their order."""
    place = places(pool)
    return np.array([place[i] for i in ids if i in place], dtype=np.int64)


@st.cache_resource(max_entries=4, show_spinner=False)
def _places(fingerprint: str, _pool: Pool) -> dict[str, int]:
    return {row_id: i for i, row_id in enumerate(_pool.ids)}


def marked(kind: str, pool: Pool) -> tuple[str, ...]:
    """Row ids pinned (PINS) or banned (BANS) in this session for this pool."""
    return tuple(st.session_state.get(f"{kind}:{pool.name}", ()))


def mark(kind: str, pool: Pool, ids: tuple[str, ...]) -> None:
    """Set the pinned or banned ids of this pool; a row is never both."""
    st.session_state[f"{kind}:{pool.name}"] = tuple(dict.fromkeys(ids))
    other = BANS if kind == PINS else PINS
    taken = set(ids)
    st.session_state[f"{other}:{pool.name}"] = tuple(i for i in marked(other, pool) if i not in taken)
