"""What a repair will take, said before it starts: memory by counting, time by measured runs or by counting.

Memory is the sum of what must be held at once; each part is named, so that a reader can check it against the
measured peak that the finished run tells (RunManifest.estimate beside result.peak_bytes).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import psutil

from core.errors import BadModel
from core.lm.facts import ModelFacts, model_facts
from core.pipeline.choose import load_selection
from core.pipeline.gather import eligibility
from core.pipeline.kept import Run
from core.pipeline.names import default_model, resolve_model
from core.pipeline.predict import Prediction, duration, planned_passes, predict
from core.pool import load_pool
from core.repair import METHODS, RepairParams
from core.repair.base import BY_BLOCK, KLParams
from core.repair.objectives import CACHE_BYTES
from core.training.schedule import total_steps
from core.values import Frozen, Recipe, RepairSpec, settings
from core.workspace import Workspace

FLOAT = 4  # bytes; weights, gradients and states are float32
PROCESS = 510 << 20  # a worker that has opened a pool and a very small model: measured 0.53 GB
# Floats that one token leaves in one block for the backward pass, in widths: two norms, q, k, v, attention
# and its projection, two residual sums, and the MLP's four-times-wide layer before and after its GELU.
ACTIVATIONS = 17
LOGITS = 3  # the logits, their log-softmax, their gradient
# Share of the machine's matrix speed that a training step reaches: small models spend their time elsewhere.
REACHED = (0.05, 0.6)
SIDE = 512  # of the matrices whose product measures that speed
GB = 1e9
UNTRAINED = Prediction(0.0, 0.0, 0.0, 0, "It trains nothing: it only decodes differently.")


class Estimate(Frozen):
    """Bytes and seconds a repair will take, by part, and the sentence that says so."""

    memory_bytes: int
    parts: dict[str, int]  # what -> bytes
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    steps: int = 0
    sentence: str = ""


def estimate(
    ws: Workspace,
    spec: RepairSpec,
    params: RepairParams,
    recipe: Recipe,
    rows: int,
    measured: Sequence[Run] | None = None,
) -> Estimate | None:
    """What the repair of `rows` rows will take; None for a model that is not on this disk yet.

    `spec.model` names the model, `params` are the method's settings with their defaults.
    """
    folder = Path(resolve_model(ws, spec.model))
    try:
        facts = model_facts(folder)
    except BadModel:
        return None  # a hub id that was not fetched yet, or a folder that the run itself will refuse
    parts = memory(facts, spec.method, params, spec.normal.texts, cuda=spec.device.startswith("cuda"))
    phases = len(METHODS[spec.method].phases)
    said = predict(ws, recipe, rows, params.model_dump(), spec.model, measured=measured)
    if said.seconds is None:
        said = _counted(facts, spec.method, params, rows) if phases else UNTRAINED
    steps = total_steps(rows, params) * phases
    total = sum(parts.values())
    return Estimate(
        memory_bytes=total,
        parts=parts,
        seconds=said.seconds,
        low=said.low,
        high=said.high,
        steps=steps,
        sentence=f"About {total / GB:.2g} GB of memory. {said.sentence}",
    )


def expected(ws: Workspace, spec: RepairSpec) -> Estimate | None:
    """The estimate of a spec as asked, before anything is chosen or opened; rows as the budget says."""
    kind = METHODS[spec.method].params
    params = settings(kind, spec.params, f"repair method {spec.method!r}")
    if isinstance(spec.selection, str):
        chosen = load_selection(ws, spec.selection)
        recipe, rows = chosen.recipe, len(chosen.ids)
    else:
        recipe = spec.selection
        rows = recipe.budget.count(len(eligibility(load_pool(ws, recipe.pool), recipe.method).rows))
    model = spec.model or default_model(ws, recipe.pool)
    rows += spec.mix.rows if spec.mix else 0
    recipe = recipe.model_copy(update={"method": spec.method})
    return estimate(ws, spec.model_copy(update={"model": model}), params, recipe, rows)


def memory(
    facts: ModelFacts, method: str, params: RepairParams, normal_texts: int = 512, *, cuda: bool = False
) -> dict[str, int]:
    """Part -> bytes held at once while training; on a CUDA device only what lies there."""
    if not METHODS[method].phases:
        held = {"weights": FLOAT * facts.weights}
        kept = {"process": PROCESS, "weights kept: untouched": FLOAT * facts.weights}
        return held if cuda else held | kept
    trained = _trained(facts, params)
    sides = _sides(method, params)
    tokens = min(params.prompt_tokens + params.response_tokens, facts.context) * params.batch * sides
    scored = tokens if params.score_prompt else params.response_tokens * params.batch * sides
    parts = {
        "weights": FLOAT * facts.weights,
        "gradients": FLOAT * (facts.in_blocks if params.scope in BY_BLOCK else trained),
        "optimiser": FLOAT * (2 if params.optimizer == "adamw" else 1) * trained,
        "activations": FLOAT * tokens * facts.blocks * facts.width * ACTIVATIONS,
        "logits": FLOAT * scored * facts.vocabulary * LOGITS,
    }
    if params.normal:
        kept = getattr(params, "normal_tokens", KLParams.model_fields["normal_tokens"].default)
        parts["reference model"] = FLOAT * facts.weights
        parts["reference on normal text"] = min(FLOAT * normal_texts * kept * facts.vocabulary, CACHE_BYTES)
    if not cuda:  # on a CUDA device these stay in the machine's memory
        parts["process"] = PROCESS
        parts["weights kept: untouched and best"] = FLOAT * (facts.weights + trained)
    return parts


def _sides(method: str, params: RepairParams) -> int:
    """Texts of one row in a step's graph: good and bad together, unless they are read one after the other."""
    spec = METHODS[method]
    both = {"response", "rejected"} <= set(spec.columns(params))
    return 2 if both and params.scope not in BY_BLOCK and len(spec.phases) == 1 else 1


def _trained(facts: ModelFacts, params: RepairParams) -> int:
    """Weights that may move; of the dynamic block every one may be visited once."""
    if params.scope == "lora":  # r (in + out) per adapted matrix; about one matrix d x 3d per block
        return facts.blocks * params.lora_rank * 4 * facts.width
    if params.scope == "fixed":
        return facts.largest_block
    return facts.in_blocks if params.scope in BY_BLOCK else facts.weights


def _counted(facts: ModelFacts, method: str, params: RepairParams, rows: int) -> Prediction:
    """Seconds by counting multiplications, at the speed this machine multiplies matrices."""
    passes = planned_passes(method, params, rows)
    tokens = min(params.prompt_tokens + params.response_tokens, facts.context)
    work = 2.0 * facts.multiplied * tokens * passes
    speed = matrix_speed()
    low, high = (work / (speed * share) for share in reversed(REACHED))
    said = (
        f"No {method} run was measured here yet: by counting multiplications, {duration(low)} to "
        f"{duration(high)} on this machine's processor for {total_steps(rows, params):,} steps of "
        f"{params.batch}."
    )
    return Prediction(float(np.sqrt(low * high)), low, high, 0, said)


@cache
def matrix_speed() -> float:
    """Multiplications and additions per second of a float32 matrix product; measured once per process."""
    a = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2.0 * SIDE**3 / best


def free_memory() -> int:
    """Bytes of this machine's memory that a new process may take."""
    return int(psutil.virtual_memory().available)
