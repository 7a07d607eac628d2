"""What a repair spec means: names and defaults filled in, what fits together, keys of all it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import BadInput, MissingInput
from core.lm.decoders.files import read_decoder
from core.pipeline.choose import load_selection
from core.pipeline.evaluations import evaluation_key, filled_spec
from core.pipeline.mixes import check_mix
from core.pipeline.names import default_model, default_scorer, identity, resolve_model, resolve_scorer
from core.pool import read_manifest
from core.repair import METHODS, RepairParams
from core.values import Recipe, RepairSpec, settings
from core.workspace import Workspace, content_key

RUN_VERSION = 3  # raised when the same inputs would give other numbers
NO_NUMBER = {"name", "evaluation", "keep_model", "device", "panel"}  # of a spec, what decides no number of it


def filled_repair(ws: Workspace, spec: RepairSpec, pool: str) -> tuple[RepairSpec, RepairParams]:
    """The spec with every name and default but the selection's written out, and the method's settings."""
    params = settings(METHODS[spec.method].params, spec.params, f"repair method {spec.method!r}")
    model, scorer = spec.model or default_model(ws, pool), spec.scorer or default_scorer(ws, pool)
    if spec.evaluation and spec.evaluation.model not in ("", model):
        raise BadInput(
            f"the evaluation names the model {spec.evaluation.model!r}, but {model!r} is repaired: base and "
            "repaired model are measured alike, leave evaluation.model empty"
        )
    if _rewarded(params) == "":
        params = params.model_copy(update={"reward": scorer})
    named = {
        "params": params.model_dump(mode="json"),
        "model": model,
        "scorer": scorer,
        "mix": spec.mix and spec.mix.model_copy(update={"pool": spec.mix.pool or pool}),
        "evaluation": filled_spec(ws, spec.evaluation, model) if spec.evaluation else None,
    }
    return spec.model_copy(update=named), params


def _rewarded(params: RepairParams) -> str | None:
    """The scorer whose reward steers the decoding; None for methods that have none."""
    return getattr(params, "reward", None)


def check_fit(spec: RepairSpec, params: RepairParams) -> None:
    """BadInput or MissingInput where mix or token mask do not fit the method."""
    method = METHODS[spec.method]
    if spec.mix is not None:
        check_mix(spec.method, method.columns(params))
    if method.masks and not spec.token_mask:
        raise MissingInput(
            f"{method.title} needs a token mask, and token_mask is empty; score the pool's tokens by "
            "influence and keep the mask, or write one with core.pipeline.token_masks.write_token_mask, then "
            "name its key"
        )
    if spec.token_mask and not method.masks:
        raise BadInput(
            f"{method.title} penalises no tokens, so a token mask means nothing to it; leave it out"
        )


def check_model(ws: Workspace, spec: RepairSpec) -> None:
    """BadInput for a model with a decoder: a repair saves weights, and would be measured with the decoder."""
    said = read_decoder(Path(resolve_model(ws, spec.model)))
    if said is not None:
        raise BadInput(
            f"the model {spec.model!r} decodes by {said.kind}, which a repair of its weights would lose; "
            "repair the model that it was made from"
        )


def deciding(ws: Workspace, spec: RepairSpec, params: RepairParams, pools: list[str]) -> dict[str, Any]:
    """All that could change a number of the filled spec's run: contents, where names could lie."""
    pools = [*pools, *([spec.mix.pool] if spec.mix else [])]
    said = [read_manifest(ws, name) for name in pools]
    reward = _rewarded(params)
    return {
        "spec": spec.model_dump(mode="json", exclude=NO_NUMBER),
        "model": identity(ws, resolve_model(ws, spec.model)),
        "pools": [(m["fingerprint"], m["split_hash"]) for m in said],  # validation rows come from the split
        "normal": identity(ws, resolve_scorer(ws, spec.scorer)) if params.normal else "",
        "reward": identity(ws, resolve_scorer(ws, reward)) if reward else "",
        "evaluation": evaluation_key(ws, spec.evaluation) if spec.evaluation else "",
        "version": RUN_VERSION,
    }


def asked_key(ws: Workspace, spec: RepairSpec) -> str:
    """Hash of the spec as asked, its recipe not run, with all that its rows and numbers come from."""
    given = isinstance(spec.selection, Recipe)
    recipe = (
        spec.selection if isinstance(spec.selection, Recipe) else load_selection(ws, spec.selection).recipe
    )
    filled, params = filled_repair(ws, spec, recipe.pool)
    found = deciding(ws, filled, params, [name for name in (recipe.pool, recipe.reference) if name])
    if given:  # its signals are made by these
        model, scorer = (recipe.model or default_model(ws, recipe.pool)), recipe.scorer
        found["selecting"] = [
            identity(ws, resolve_model(ws, model)),
            identity(ws, resolve_scorer(ws, scorer or default_scorer(ws, recipe.pool))),
        ]
    return content_key(found)
