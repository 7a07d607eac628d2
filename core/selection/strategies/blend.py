"""Blend: rows by a weighted sum of what SAPS, CCS, behaviour types and any scores find useful.

A Winnow definition. Every part is a utility in [0, 1], so that weights mean the same everywhere. Quotas share
the budget among labels first, and a penalty on likeness keeps near-duplicates apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from core.selection.base import Candidates, Ledger, Picked, strategy
from core.selection.boundary import BoundaryParams, boundary_needs
from core.selection.draw import NOBODY, Choose
from core.selection.quotas import Filled, Labels, QuotaParams, fill, quota_needs
from core.selection.ranking import best
from core.selection.reasons import Reasons
from core.selection.strata import StrataParams
from core.selection.utilities import (
    TypeWorths,
    Utility,
    behaviour_utility,
    ccs_utility,
    has_type,
    saps_utility,
    score_utility,
    unscored,
)
from core.selection.variety import Varied
from core.values import Params, Reporter


class Weights(Params):
    """How much each part counts; only their proportions matter."""

    saps: float = Field(1.0, ge=0.0, le=1.0, description="Weight of cluster boundaries and centres (SAPS).")
    ccs: float = Field(1.0, ge=0.0, le=1.0, description="Weight of even difficulty coverage (CCS).")
    behaviour: float = Field(1.0, ge=0.0, le=1.0, description="Weight of the behaviour types below.")
    scores: dict[str, float] = Field(
        {},
        description="Weight of any score, -1 to 1; below 0 prefers low values.",
        json_schema_extra={"registry": "score"},
    )
    diversity: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Taken off a row's total times its cosine to the most similar row chosen before it.",
    )
    diversity_space: Literal["embedding", "pca50"] = Field(
        "embedding", description="Vector space of that cosine."
    )

    @field_validator("scores")
    @classmethod
    def _from_minus_one_to_one(cls, scores: dict[str, float]) -> dict[str, float]:
        for name, weight in scores.items():
            if abs(weight) > 1:
                raise ValueError(f"{name} has the weight {weight:g}; give -1 to 1")
        return scores


class BlendParams(StrataParams, BoundaryParams, TypeWorths, QuotaParams, Weights):
    """Weights and quotas, then the settings of the parts."""

    @model_validator(mode="after")
    def _some_weight(self) -> BlendParams:
        if not any((self.saps, self.ccs, self.behaviour, *self.scores.values())):
            raise ValueError("all weights are zero; give saps, ccs, behaviour or a score a weight")
        return self


def _needs(params: BlendParams) -> tuple[str, ...]:
    asked = (
        (boundary_needs(params) if params.saps else ())
        + ((f"score:{params.score}",) if params.ccs else ())
        + (("column:behaviour",) if params.behaviour else ())
        + tuple(f"score:{name}?" for name, weight in params.scores.items() if weight)
        + ((f"vectors:{params.diversity_space}",) if params.diversity else ())
        + quota_needs(params)
    )
    return tuple(dict.fromkeys(asked))


@strategy(
    title="Blend",
    source="Winnow definition",
    needs=_needs,
    nested=lambda params: params.quota == "none",
)
def blend(
    candidates: Candidates, budget: int, params: BlendParams, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """The free rows with the largest weighted mean utility, ties by row number.

    A reason's score is that total; its shares are the parts of the total and sum to 1; its penalty is what
    was taken off for likeness to rows before it. With a behaviour weight, rows that are blocked or have no
    behaviour type are never taken: too few others give a shortfall.
    """
    parts = _parts(candidates, params, rng)
    total = _total(parts, candidates.n)
    known = has_type(candidates) if params.behaviour else np.ones(candidates.n, dtype=bool)
    free, pins = candidates.free & known, candidates.taken
    varied = None
    if params.diversity:
        x = candidates.vectors[params.diversity_space]
        varied = Varied(x, total, params.diversity, pins, reporter)
    choose: Choose = varied or (lambda rows, count, group: best(rows, total[rows], count))

    labels = None
    if params.quota == "none":
        rows = choose(np.flatnonzero(free), budget, NOBODY)
        filled = Filled(rows, np.full(len(rows), NOBODY), ())
    else:
        labels = _labels(candidates, params, known)
        filled = fill(params, labels, free, pins, budget, choose)
    short = budget - len(filled.rows)
    said = f"{short:,} rows of the budget cannot be filled: every row with a behaviour type is already taken"
    penalty = varied.penalty if varied else None
    return Picked(
        filled.rows,
        _reasons(parts, total, penalty, labels, filled),
        short,
        _lacking(candidates, params) + filled.said + ((said,) if short else ()),
        ledger=_ledger(total, varied is not None, labels, filled, candidates.usable & ~known),
    )


@dataclass(frozen=True)
class Part:
    """One term of the total."""

    weight: float  # the weights of all parts sum to 1
    utility: Utility


def _parts(candidates: Candidates, params: BlendParams, rng: np.random.Generator) -> dict[str, Part]:
    """Name -> part of all that has a weight; a weight below 0 turns its score round."""
    weights = {"saps": params.saps, "ccs": params.ccs, "behaviour": params.behaviour} | params.scores
    whole = sum(abs(weight) for weight in weights.values())

    def utility(name: str) -> Utility:
        if name == "saps":
            return saps_utility(candidates, params)
        if name == "ccs":
            return ccs_utility(candidates, params, rng)
        if name == "behaviour":
            return behaviour_utility(candidates, params)
        return score_utility(candidates, name, low=weights[name] < 0)

    return {name: Part(abs(w) / whole, utility(name)) for name, w in weights.items() if w}


def _total(parts: Mapping[str, Part], n: int) -> NDArray[np.float64]:
    """(n,) weighted mean, rounded to twelve digits so that sums that are equal on paper tie."""
    total = np.zeros(n)
    for part in parts.values():
        total += part.weight * part.utility
    return np.round(total, 12, out=total)


def _labels(candidates: Candidates, params: BlendParams, known: NDArray[np.bool_]) -> Labels:
    """The labels of all rows that may be taken or are pinned."""
    pool = candidates.usable & known | candidates.pinned
    key = ("quota labels", params.quota_by, bool(params.behaviour))
    return candidates.once(key, lambda: Labels.of(candidates, params.quota_by, pool))


def _reasons(
    parts: Mapping[str, Part],
    total: NDArray[np.float64],
    penalty: NDArray[np.float64] | None,
    labels: Labels | None,
    filled: Filled,
) -> Reasons:
    rows = filled.rows
    pieces = {name: part.weight * part.utility[rows] for name, part in parts.items()}
    whole = np.sum(list(pieces.values()), axis=0)
    shares = {
        name: np.divide(piece, whole, out=np.full(len(rows), parts[name].weight), where=whole > 0)
        for name, piece in pieces.items()
    }
    taken_off = None if penalty is None else penalty[rows]
    if labels is None:
        return Reasons(len(rows), "blend", score=total[rows], shares=shares, penalty=taken_off)
    role = np.where(filled.by == NOBODY, "rest", "quota")
    number = labels.number(filled.by)
    column: dict[str, NDArray[Any]] = (
        {"cluster": labels.number(labels.first[rows])}
        if labels.kind == "cluster"
        else {"category": np.array([labels.names.get(int(i), "") for i in number], dtype=object)}
    )
    return Reasons(len(rows), role, score=total[rows], shares=shares, penalty=taken_off, **column)


def _ledger(
    total: NDArray[np.float64],
    varied: bool,
    labels: Labels | None,
    filled: Filled,
    out: NDArray[np.bool_],
) -> Ledger:
    """Every row's total and the label it competed in: its rarest, or the one that took it."""
    ledger = Ledger(
        value=total,  # likeness of rows passed over is known only in part, and costs more than the choice
        value_name="total utility before likeness" if varied else "total utility",
        out=out,
        out_reason="it is blocked or has no behaviour type, and behaviour has a weight",
    )
    if labels is None:
        return ledger
    place = labels.first.copy()
    place[filled.rows] = np.where(filled.by == NOBODY, place[filled.rows], filled.by)
    return replace(ledger, group=labels.number(place), group_kind=labels.kind, group_names=dict(labels.names))


def _lacking(candidates: Candidates, params: BlendParams) -> tuple[str, ...]:
    """Scores that some rows do not have."""
    missing = {name: unscored(candidates, name) for name, weight in params.scores.items() if weight}
    return tuple(
        f"{count:,} of {candidates.n:,} eligible rows have no score {name!r}: it counts 0 for them"
        for name, count in missing.items()
        if count
    )
