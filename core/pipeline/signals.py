"""Signals made once: look one up, or compute it with all it needs and store it under its key."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import clustering, embedding, labelling, projection, scoring
from core.pipeline.names import resolve_model, resolve_scorer
from core.pipeline.preview import Preview
from core.pipeline.requests import (
    SignalRequest,
    filled,
    inputs_of,
    key_of,
    params_of,
    reads_model,
    spec_of,
    words,
)
from core.pool import load_pool
from core.values import FLAG_VALUES, Pool, Reporter, Silent
from core.workspace import Signal, SignalKey, Workspace

Arrays = dict[str, NDArray[Any]]
Facts = dict[str, Any]


def find_signal(ws: Workspace, request: SignalRequest, pool: Pool | None = None) -> Signal | None:
    """The stored signal, or None: looks, never computes."""
    return ws.signals.get(key_of(ws, request, load_pool(ws, request.pool) if pool is None else pool))


def make_signal(
    ws: Workspace, request: SignalRequest, reporter: Reporter | None = None, pool: Pool | None = None
) -> Signal:
    """The signal, computed with all it needs if it is not stored yet; asking again costs nothing."""
    reporter = reporter or Silent()
    pool = load_pool(ws, request.pool) if pool is None else pool
    request = filled(ws, request)
    key = key_of(ws, request, pool)
    if (stored := ws.signals.get(key)) is not None:
        return stored
    inputs = {role: make_signal(ws, r, reporter, pool) for role, r in inputs_of(request).items()}
    with ws.lock(f"signal-{key.digest}", timeout=24 * 3600):
        if (stored := ws.signals.get(key)) is not None:  # another process made it while we waited
            return stored
        started = time.perf_counter()
        arrays, facts = MAKERS[request.stage](ws, request, key, pool, inputs, reporter)
        return ws.signals.put(key, arrays, facts=facts | {"words": words(request)}, started=started)


def _embed(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    scratch, settings = ws.signals.scratch(key), params_of(r)
    if r.template == "difference" and getattr(settings, "precision", "") == "auto":
        settings = settings.model_copy(update={"precision": "float32"})  # a gap must not be a rounding

    def made(texts: list[str], part: str, watch: embedding.Watch | None = None) -> embedding.Embedded:
        return embedding.embed(
            texts,
            r.method,
            settings,
            scratch=scratch / part,
            device=_device(r),
            reporter=reporter,
            watch=watch,
        )

    if r.template != "difference":
        found = made(pool.texts(r.template), "all", Preview(scratch))
        return {"values": found.vectors}, found.facts
    both = (pool.column("response") != "") & (pool.column("rejected") != "")
    good = made([str(t) for t in pool.column("response")], "response")
    bad = made([str(t) for t in pool.column("rejected")], "rejected")
    gap = np.where(both[:, None], good.vectors - bad.vectors, 0.0).astype(np.float32)
    norm = np.linalg.norm(gap, axis=1, keepdims=True)
    return {"values": gap / np.where(norm > 0, norm, 1.0).astype(np.float32)}, {
        "precision": good.facts["precision"],
        "rows_without_pair": int((~both).sum()),
    }


def _project(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    vectors = np.asarray(inputs["vectors"].array())
    points = projection.project(r.method, vectors, params_of(r), seed=r.seed, reporter=reporter)
    facts: Facts = {}
    if points.shape[1] == 2:  # noqa: PLR2004 - a picture has two axes
        facts = {
            "frame_fill": projection.frame_fill(points),
            "trustworthiness": projection.trustworthiness(vectors, points),
        }
    return {"values": points}, facts


def _cluster(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    vectors = np.asarray(inputs["vectors"].array())
    found = clustering.cluster(r.method, vectors, params_of(r), seed=r.seed, reporter=reporter)
    template = "prompt+response" if r.template == "difference" else r.template
    named = clustering.keywords(pool.texts(template), found.labels)
    facts = {
        "clusters": int(found.k),
        "noise_share": float(np.mean(found.labels == -1)) if len(pool) else 0.0,
        "keywords": {str(c): w for c, w in named.items()},
    }
    return {"values": found.labels, "membership": found.membership}, facts


def _label(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    flags = labelling.label(r.method, pool, params_of(r), reporter)
    codes = {
        name: np.array([FLAG_VALUES.index(v) for v in values], np.int8) for name, values in flags.items()
    }
    return codes, {"values": FLAG_VALUES}


def _score(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    spec = spec_of(r)
    scorer = None
    if "scorer" in spec.needs:
        from core.scorers import load_scorer

        scorer = load_scorer(resolve_scorer(ws, r.scorer), device=_device(r))
    values = scoring.score(
        r.method,
        pool,
        params_of(r),
        scorer=scorer,
        model=resolve_model(ws, r.model) if reads_model(spec.needs) else None,
        device=_device(r),
        reporter=reporter,
        scratch=ws.signals.scratch(key),
    )
    facts = {
        "direction": spec.direction,
        "scorer": r.scorer,
        "model": r.model,
        "missing": int(np.isnan(values).sum()),
    }
    return {"values": values}, facts


def _device(request: SignalRequest) -> str:
    from core.lm.load import resolve_device

    return resolve_device(request.device)


Maker = Callable[
    [Workspace, SignalRequest, SignalKey, Pool, dict[str, Signal], Reporter], tuple[Arrays, Facts]
]
MAKERS: dict[str, Maker] = {
    "embedding": _embed,
    "projection": _project,
    "clustering": _cluster,
    "labelling": _label,
    "scoring": _score,
}


def flags_of(signal: Signal) -> dict[str, NDArray[Any]]:
    """Flag -> (n,) array of FLAG_VALUES, from a stored labelling."""
    names = np.array(FLAG_VALUES, dtype=object)
    return {flag: names[signal.array(flag)] for flag in signal.manifest["shapes"]}


def keywords(signal: Signal) -> dict[int, list[str]]:
    """Cluster -> its words, most telling first."""
    return {int(c): list(w) for c, w in signal.facts.get("keywords", {}).items()}
