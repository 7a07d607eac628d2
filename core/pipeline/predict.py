"""What repairing with a selection would cost, from the repairs that were measured in this workspace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.pipeline.kept import Run, runs
from core.pipeline.names import default_model
from core.repair import METHODS, RepairParams
from core.training.schedule import total_steps
from core.values import Recipe, settings
from core.workspace import Workspace

TRAINED = 3  # forward passes that one training pass costs: backward is about twice the work of forward


@dataclass(frozen=True)
class Prediction:
    """Seconds of training with the range of the measured runs, and a sentence that says what they rest on."""

    seconds: float | None  # None = nothing comparable was measured
    low: float | None
    high: float | None
    runs: int  # measured runs the number rests on
    sentence: str


def predict(
    ws: Workspace,
    recipe: Recipe,
    rows: int,
    params: Mapping[str, Any] | None = None,
    model: str = "",
    *,
    length: float = 1.0,
    measured: Sequence[Run] | None = None,
) -> Prediction:
    """Seconds that `recipe.method` would train on `rows` rows, by the runs of that method.

    The work of a run is counted as its schedule says: trained rows, validations, and the first look at every
    row where the method has one. Its seconds per work are those of the measured runs, their median; runs of
    the same model are preferred, on the device of the newest. A run that stops early takes less.

    `params` are the repair's settings (none = those of the newest run), `model` the one to be repaired (empty
    = the recipe's, else the pool's default), `length` the tokens of these rows over those of usual ones, and
    `measured` the runs, where they have been read already.
    """
    method, model = recipe.method, model or recipe.model or default_model(ws, recipe.pool)
    known = _comparable(runs(ws) if measured is None else measured, method, model)
    if not known or not rows:
        said = "an empty selection repairs nothing" if known else f"no run of this method ({method}) yet"
        return Prediction(None, None, None, 0, f"The cost of a repair cannot be predicted: {said}.")
    kind = METHODS[method].params
    given = settings(kind, known[0].manifest.spec.params if params is None else params, f"method {method!r}")
    planned = length * planned_passes(method, given, rows)
    paces = [r.manifest.result["seconds"] / _done(r) for r in known]
    middle, low, high = (planned * pace for pace in (float(np.median(paces)), min(paces), max(paces)))
    said = _sentence((middle, low, high), known, model, given, rows, newest=params is None)
    return Prediction(middle, low, high, len(known), said)


def _comparable(measured: Sequence[Run], method: str, model: str) -> list[Run]:
    """Runs of the method that took time, newest first: of this model where there are any, on one device."""
    found = [
        run
        for run in measured
        if run.manifest.spec.method == method
        and run.manifest.result.get("steps", 0) > 0
        and run.manifest.result.get("seconds", 0) > 0
    ]
    found = [run for run in found if run.manifest.model == model] or found
    return [run for run in found if run.manifest.device == found[0].manifest.device]


def planned_passes(method: str, params: RepairParams, rows: int) -> float:
    """Forward passes of one row that the whole run makes; a backward pass counts as two."""
    spec, steps = METHODS[method], total_steps(rows, params)
    once = _work(params, rows, steps, 1 + math.ceil(steps / params.validate_every), spec.reads_all)
    return once * len(spec.phases)


def _done(run: Run) -> float:
    """The work that a measured run really did: it may have stopped early."""
    m = run.manifest
    method = METHODS[m.spec.method]
    params = settings(method.params, m.spec.params, f"run {run.id}")
    steps = int(m.result["steps"])
    validations = len(m.result.get("validations", ())) or 1 + math.ceil(steps / params.validate_every)
    return _work(params, run.trained_rows, steps, validations, method.reads_all)


def _work(params: RepairParams, rows: int, steps: int, validations: int, reads_all: bool) -> float:
    """Forward passes of one row: the last batch of an epoch may be smaller than the others."""
    per_step = rows / math.ceil(rows / params.batch)
    first = rows + params.validation_size if reads_all else 0
    return TRAINED * steps * per_step + validations * params.validation_size + first


def _sentence(
    seconds: Sequence[float], known: Sequence[Run], model: str, params: RepairParams, rows: int, newest: bool
) -> str:
    middle, low, high = (duration(s) for s in seconds)
    m, count = known[0].manifest, len(known)
    spread = f" ({low} to {high})" if count > 1 else ""
    settled = "the settings of the newest" if newest else "the settings given"
    said = (
        f"Training would take about {middle}{spread}, by {count} measured {m.spec.method} "
        f"{'run' if count == 1 else 'runs'} on {m.device}, with {settled}: "
        f"{total_steps(rows, params):,} steps of {params.batch}."
    )
    if m.model != model:
        said += f" They repaired another model ({m.model}), so this is a rough guess."
    return said


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 0.01:  # noqa: PLR2004 - seconds
        return "< 0.01 s"
    if seconds < 90:  # noqa: PLR2004 - seconds
        return f"{seconds:.2g} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - minutes
