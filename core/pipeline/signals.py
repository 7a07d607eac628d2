"""Which signal is meant by a need, what it is made from, and making it once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import clustering, embedding, labelling, projection, scoring
from core.errors import BadInput, MissingInput
from core.pipeline.names import default_model, default_scorer, identity, resolve_model, resolve_scorer
from core.pool import load_pool
from core.values import (
    FLAG_VALUES,
    Asked,
    Params,
    Pool,
    Recipe,
    Reporter,
    Seed,
    Silent,
    Template,
    settings,
)
from core.workspace import Signal, SignalKey, Workspace

Arrays = dict[str, NDArray[Any]]
Facts = dict[str, Any]

SPACES: dict[str, tuple[str, dict[str, Any]]] = {  # named space -> projection method, its settings
    "pca50": ("pca", {"n_components": 50, "normalise": True}),
    "umap10": ("umap", {"n_components": 10, "min_dist": 0.0}),
    "map": ("umap", {"n_components": 2}),
    "map_pca": ("pca", {"n_components": 2}),
}
CLUSTER_SPACE = {"kmeans": "pca50", "hdbscan": "umap10"}


class SignalRequest(Asked):
    """What to make: a stage's method on a pool, with everything it depends on by name."""

    stage: str
    method: str
    pool: str
    params: dict[str, Any] = {}
    encoder: str = "minilm"
    encoder_params: dict[str, Any] = {}
    template: Template = "prompt+response"
    model: str = ""
    scorer: str = ""
    references: tuple[str, ...] = ()  # other pools, for methods that compare with one
    space: str = ""  # clustering: the named space it reads
    seed: Seed = 0
    device: str = "auto"  # where it is computed; no part of the key


class NotReady(MissingInput):
    """Signals that are needed and not there; `requests` says which, so that a page can offer to make them."""

    def __init__(self, requests: tuple[SignalRequest, ...]) -> None:
        self.requests = requests
        super().__init__(
            f"not computed yet: {'; '.join(words(r) for r in requests)}. Compute it first, then go on."
        )


def request_for(need: str, pool: str, *, recipe: Recipe | None = None) -> SignalRequest:
    """The request a need string stands for: vectors:SPACE, cluster:NAME, score:NAME or flags:NAME."""
    kind, _, name = need.partition(":")
    chosen = {} if recipe is None else {"encoder": recipe.encoder, "template": recipe.template}
    if kind == "vectors":
        if name == "embedding":
            encoder = chosen.get("encoder", "minilm")
            return SignalRequest(stage="embedding", method=encoder, pool=pool, **chosen)
        if name in SPACES:
            method, params = SPACES[name]
            return SignalRequest(stage="projection", method=method, params=params, pool=pool, **chosen)
        raise _no_space(name)
    if kind == "cluster":
        return SignalRequest(
            stage="clustering", method=name, pool=pool, space=CLUSTER_SPACE.get(name, "pca50"), **chosen
        )
    if kind == "score":
        sources = {} if recipe is None else {"model": recipe.model, "scorer": recipe.scorer}
        return SignalRequest(stage="scoring", method=name, pool=pool, **sources)
    if kind == "flags":
        return SignalRequest(stage="labelling", method=name, pool=pool)
    raise BadInput(f"no signal meets the need {need!r}; needs are vectors:, cluster:, score: and flags:")


def _no_space(name: str) -> BadInput:
    return BadInput(f"no space named {name!r}; known: embedding, {', '.join(SPACES)}")


def clustered_space(request: SignalRequest) -> str:
    """The named space that a clustering reads: the one asked for, else its method's own."""
    return request.space or CLUSTER_SPACE.get(request.method, "pca50")


def words(request: SignalRequest) -> str:
    """The request as a person would say it."""
    chosen = ", ".join(_said(name, value) for name, value in request.params.items())
    method = _spec(request).title + (f" ({chosen})" if chosen else "")
    if request.stage == "embedding":
        return f"{method} of {request.template}"
    if request.stage in ("projection", "clustering"):
        space = clustered_space(request) if request.stage == "clustering" else request.space
        read = space or embedding.ENCODERS[request.encoder].title
        return f"{method} of {read}, {request.template}, seed {request.seed}"
    return f"{method} by {request.model or request.scorer}" if request.model or request.scorer else method


def _said(name: str, value: Any) -> str:
    if name == "n_components":
        return f"{value} dimensions"
    return name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {value}"


def _registry(stage: str) -> Any:
    tables = {
        "embedding": embedding.ENCODERS,
        "projection": projection.METHODS,
        "clustering": clustering.METHODS,
        "labelling": labelling.LABELLERS,
        "scoring": scoring.SCORES,
    }
    if stage not in tables:
        raise BadInput(f"no stage named {stage!r} makes signals; known: {', '.join(tables)}")
    return tables[stage]


def _spec(request: SignalRequest) -> Any:
    return _registry(request.stage)[request.method]


def _params(request: SignalRequest) -> Params:
    kind: type[Params] = _spec(request).params
    return settings(kind, request.params, f"{request.stage} {request.method!r}")


def _filled(ws: Workspace, request: SignalRequest) -> SignalRequest:
    """The request with the pool's default model and scorer where the method needs one and none was named."""
    needs = getattr(_spec(request), "needs", ())
    changed = {}
    if "model" in needs and not request.model:
        changed["model"] = default_model(ws, request.pool)
    if "scorer" in needs and not request.scorer:
        changed["scorer"] = default_scorer(ws, request.pool)
    return request.model_copy(update=changed)


def inputs_of(request: SignalRequest) -> dict[str, SignalRequest]:
    """Role -> request of every signal this one is made from."""
    common = {
        "pool": request.pool,
        "encoder": request.encoder,
        "encoder_params": request.encoder_params,
        "template": request.template,
        "device": request.device,
    }
    vectors = SignalRequest(
        stage="embedding", method=request.encoder, params=request.encoder_params, **common
    )
    if request.stage == "projection":
        return {"vectors": vectors}
    if request.stage == "clustering":
        space = clustered_space(request)
        if space == "embedding":
            return {"vectors": vectors}
        if space not in SPACES:
            raise _no_space(space)
        method, params = SPACES[space]
        return {
            "vectors": SignalRequest(
                stage="projection", method=method, params=params, seed=request.seed, **common
            )
        }
    return {}


def key_of(ws: Workspace, request: SignalRequest, pool: Pool) -> SignalKey:
    """The key under which the requested signal is stored: everything that could change a number is in it."""
    request = _filled(ws, request)
    spec = _spec(request)
    if request.references and not getattr(spec, "references", False):
        raise BadInput(f"{request.stage}:{request.method} compares with no reference pool; leave it out")
    needs = getattr(spec, "needs", ())
    reads_text = request.stage in ("embedding", "projection", "clustering")
    seeded = request.stage in ("projection", "clustering")
    model = identity(ws, resolve_model(ws, request.model)) if "model" in needs else ""
    if request.stage == "embedding":
        model = embedding.encoder_hash(request.method, _params(request))
    return SignalKey(
        stage=request.stage,
        method=request.method,
        params=_params(request).model_dump(mode="json") | ({"seed": request.seed} if seeded else {}),
        pool=pool.fingerprint,
        model=model,
        scorer=identity(ws, resolve_scorer(ws, request.scorer)) if "scorer" in needs else "",
        inputs={role: key_of(ws, r, pool).digest for role, r in inputs_of(request).items()}
        | {f"reference {i}": load_pool(ws, name).fingerprint for i, name in enumerate(request.references)},
        template=request.template if reads_text else "",
        version=getattr(spec, "version", 1),
    )


def find_signal(ws: Workspace, request: SignalRequest, pool: Pool | None = None) -> Signal | None:
    """The stored signal, or None: looks, never computes."""
    return ws.signals.get(key_of(ws, request, pool or load_pool(ws, request.pool)))


def make_signal(
    ws: Workspace, request: SignalRequest, reporter: Reporter | None = None, pool: Pool | None = None
) -> Signal:
    """The signal, computed with all it needs if it is not stored yet; asking again costs nothing."""
    reporter = reporter or Silent()
    pool = pool or load_pool(ws, request.pool)
    request = _filled(ws, request)
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
    scratch = ws.signals.scratch(key)

    def vectors(texts: list[str], part: str) -> NDArray[np.float32]:
        folder = scratch / part
        folder.mkdir(exist_ok=True)
        return embedding.embed(
            texts, r.method, _params(r), scratch=folder, device=_device(r), reporter=reporter
        )

    if r.template != "difference":
        return {"values": np.asarray(vectors(pool.texts(r.template), "all"))}, {}
    both = (pool.column("response") != "") & (pool.column("rejected") != "")
    good = vectors([str(t) for t in pool.column("response")], "response")
    bad = vectors([str(t) for t in pool.column("rejected")], "rejected")
    gap = np.where(both[:, None], good - bad, 0.0).astype(np.float32)
    norm = np.linalg.norm(gap, axis=1, keepdims=True)
    return {"values": gap / np.where(norm > 0, norm, 1.0).astype(np.float32)}, {
        "rows_without_pair": int((~both).sum())
    }


def _project(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    vectors = np.asarray(inputs["vectors"].array())
    points = projection.project(r.method, vectors, _params(r), seed=r.seed, reporter=reporter)
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
    found = clustering.cluster(r.method, vectors, _params(r), seed=r.seed, reporter=reporter)
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
    flags = labelling.label(r.method, pool, _params(r), reporter)
    codes = {
        name: np.array([FLAG_VALUES.index(v) for v in values], np.int8) for name, values in flags.items()
    }
    return codes, {"values": FLAG_VALUES}


def _score(
    ws: Workspace, r: SignalRequest, key: SignalKey, pool: Pool, inputs: dict[str, Signal], reporter: Reporter
) -> tuple[Arrays, Facts]:
    spec = _spec(r)
    scorer = None
    if "scorer" in spec.needs:
        from core.scorers import load_scorer

        scorer = load_scorer(resolve_scorer(ws, r.scorer), device=_device(r))
    model = resolve_model(ws, r.model) if "model" in spec.needs else None
    values = scoring.score(
        r.method, pool, _params(r), scorer=scorer, model=model, device=_device(r), reporter=reporter
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


def keywords(signal: Signal) -> dict[int, list[str]]:
    """Cluster -> its words, most telling first."""
    return {int(c): list(w) for c, w in signal.facts.get("keywords", {}).items()}
