"""Which signal is meant: by a need, a request or a key that names all it depends on."""

from __future__ import annotations

from typing import Any

from core import clustering, embedding, labelling, projection, scoring
from core.errors import BadInput, MissingInput
from core.pipeline.names import default_model, default_scorer, identity, resolve_model, resolve_scorer
from core.pool import load_pool
from core.repair import METHODS
from core.values import Asked, Params, Pool, Recipe, Seed, Template, settings
from core.workspace import SignalKey, Workspace

SPACES: dict[str, tuple[str, dict[str, Any]]] = {  # named space -> projection method, its settings
    "pca50": ("pca", {"n_components": 50, "normalise": True}),
    # with 15 neighbours HDBSCAN left half as many rows again unclustered
    "umap10": ("umap", {"n_components": 10, "min_dist": 0.0, "n_neighbors": 30}),
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
    """The request a need string stands for: vectors:SPACE, cluster:NAME, score:NAME, tokens or flags:NAME.

    "vectors:embedding@prompt" is the embedding of one template whatever the recipe's is.
    """
    kind, _, named = need.partition(":")
    name, _, template = named.partition("@")
    chosen: dict[str, Any] = {}
    if recipe is not None:
        chosen = {"encoder": recipe.encoder, "template": recipe.template}
    if template:
        chosen["template"] = template
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
    if kind in ("score", "tokens"):
        sources: dict[str, Any] = {}
        if recipe is not None:
            sources = {"model": recipe.model, "scorer": recipe.scorer}
            if kind == "tokens" and "rejected" in METHODS[recipe.method].needs:
                sources["params"] = {"sides": "both"}  # both texts of a pair are trained on, and cost
        return SignalRequest(stage="scoring", method=name or kind, pool=pool, **sources)
    if kind == "flags":
        return SignalRequest(stage="labelling", method=name, pool=pool)
    raise BadInput(f"no signal meets the need {need!r}; needs are vectors:, cluster:, score:, tokens, flags:")


def _no_space(name: str) -> BadInput:
    return BadInput(f"no space named {name!r}; known: embedding, {', '.join(SPACES)}")


def clustered_space(request: SignalRequest) -> str:
    """The named space that a clustering reads: the one asked for, else its method's own."""
    return request.space or CLUSTER_SPACE.get(request.method, "pca50")


def words(request: SignalRequest) -> str:
    """The request as a person would say it."""
    chosen = ", ".join(_said(name, value) for name, value in request.params.items())
    method = spec_of(request).title + (f" ({chosen})" if chosen else "")
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


def spec_of(request: SignalRequest) -> Any:
    """The registered spec of the request's method."""
    return _registry(request.stage)[request.method]


def params_of(request: SignalRequest) -> Params:
    """The method's settings, defaults filled in."""
    kind: type[Params] = spec_of(request).params
    return settings(kind, request.params, f"{request.stage} {request.method!r}")


def filled(ws: Workspace, request: SignalRequest) -> SignalRequest:
    """The request with the pool's default model and scorer where the method needs one and none was named."""
    needs = getattr(spec_of(request), "needs", ())
    changed = {}
    if reads_model(needs) and not request.model:
        changed["model"] = default_model(ws, request.pool)
    if "scorer" in needs and not request.scorer:
        changed["scorer"] = default_scorer(ws, request.pool)
    return request.model_copy(update=changed)


def reads_model(needs: tuple[str, ...]) -> bool:
    """Whether a model's name is needed: for its weights, or for its tokenizer alone."""
    return "model" in needs or "tokenizer" in needs


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
    request = filled(ws, request)
    spec = spec_of(request)
    if request.references and not getattr(spec, "references", False):
        raise BadInput(f"{request.stage}:{request.method} compares with no reference pool; leave it out")
    needs = getattr(spec, "needs", ())
    reads_text = request.stage in ("embedding", "projection", "clustering")
    seeded = request.stage in ("projection", "clustering")
    model = identity(ws, resolve_model(ws, request.model)) if reads_model(needs) else ""
    if request.stage == "embedding":
        model = embedding.encoder_hash(request.method, params_of(request))
    return SignalKey(
        stage=request.stage,
        method=request.method,
        params=params_of(request).model_dump(mode="json") | ({"seed": request.seed} if seeded else {}),
        pool=pool.fingerprint,
        model=model,
        scorer=identity(ws, resolve_scorer(ws, request.scorer)) if "scorer" in needs else "",
        inputs={role: key_of(ws, r, pool).digest for role, r in inputs_of(request).items()}
        | {f"reference {i}": load_pool(ws, name).fingerprint for i, name in enumerate(request.references)},
        template=request.template if reads_text else "",
        version=getattr(spec, "version", 1),
    )
