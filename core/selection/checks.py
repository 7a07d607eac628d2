"""The door of selection: what is checked before a strategy runs, and what it promised after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.errors import BadBudget, BadInput, BrokenContract, MissingInput
from core.selection.base import Candidates, Picked, parse_need
from core.values import Budget

FROM_IMPORT = {  # what no signal can bring
    "column:category": "harm categories: import it again and map a column to category",
    "column:behaviour": "behaviour types: import it again and map harmful_request and refusal",
}


def check_budget(candidates: Candidates, budget: Budget) -> None:
    """A budget lies in 0..n, counted in eligible rows, and has room for the pins; tokens are 0 or more."""
    n, pins, rows = candidates.n, len(candidates.taken), budget.count(candidates.n)
    if budget.tokens is not None and budget.tokens < 0:
        raise BadBudget(f"a budget of {budget.tokens} tokens was asked; give 0 or more")
    if rows < 0:
        raise BadBudget(f"a budget of {budget.words} was asked; give 0 to {n}, the number of eligible rows")
    if rows > n:
        raise BadBudget(
            f"a budget of {rows} rows was asked, but only {n} rows are eligible; ask for at most {n}"
        )
    if pins > rows:
        raise BadBudget(
            f"{pins} rows are pinned, more than the budget of {rows}; unpin some or raise the budget"
        )


def check_pins(candidates: Candidates) -> None:
    """Pins are distinct rows that exist and are not banned."""
    taken = np.asarray(candidates.taken)
    if taken.size == 0:
        return
    if taken.min() < 0 or taken.max() >= candidates.n:
        raise BadInput(f"a pinned row is outside the {candidates.n} eligible rows; unpin it")
    if len(np.unique(taken)) != len(taken):
        raise BadInput("a row is pinned twice; pin it once")
    banned = taken[~candidates.usable[taken]]
    if banned.size:
        name = candidates.ids[banned[0]] if candidates.ids else banned[0]
        raise BadInput(f"row {name} is both pinned and banned; take it off one of the two lists")


def check_inputs(title: str, candidates: Candidates, needs: Sequence[str]) -> None:
    """Every need is there, and the numbers among them are numbers."""
    missing = [need for need in needs if not candidates.has(need)]
    if missing:
        asked = "; ".join(FROM_IMPORT.get(need, f"{need}: compute it first") for need in missing)
        raise MissingInput(f"{title} needs what this pool does not have yet: {asked}; then select again")
    for need in needs:
        kind, name, strict = parse_need(need)
        if kind == "score" and strict:
            lost = int(np.isnan(candidates.scores[name].values[candidates.usable]).sum())
            if lost:
                raise BadInput(
                    f"score {name!r} is missing (NaN) for {lost} of {candidates.n} eligible rows; "
                    "score them, ban them, or choose another score"
                )
        if kind == "vectors" and not np.isfinite(candidates.vectors[name]).all():
            raise BadInput(f"vectors {name!r} hold NaN or infinity; embed the pool again")
        if kind == "reference":
            check_reference(title, candidates, name)


def check_reference(title: str, candidates: Candidates, name: str) -> None:
    """The reference has rows, all of them numbers, of the same kind as the candidates' vectors."""
    reference = candidates.references[name]
    if not len(reference):
        raise MissingInput(
            f"{title} compares with reference rows, and there are none: the reference pool has no train or "
            "validation row (a pool's own validation rows are taken where no other pool is named)"
        )
    ours = candidates.vectors.get(name)
    if not np.isfinite(reference.vectors).all():
        raise BadInput(f"the reference vectors {name!r} hold NaN or infinity; embed that pool again")
    if ours is not None and ours.shape[1] != reference.vectors.shape[1]:
        raise BadInput(
            f"the reference vectors have {reference.vectors.shape[1]} dimensions, the pool's have "
            f"{ours.shape[1]}; embed both with the same encoder"
        )


def check_result(name: str, candidates: Candidates, budget: int, picked: Picked) -> None:
    """The added rows are distinct, free, each with a reason, and as many as promised."""
    rows = np.asarray(picked.rows)
    good = (
        rows.ndim == 1
        and np.issubdtype(rows.dtype, np.integer)
        and len(rows) == len(picked.reasons)
        and picked.shortfall >= 0
        and len(rows) + picked.shortfall == budget
        and (rows.size == 0 or (rows.min() >= 0 and rows.max() < candidates.n))
        and int(np.bincount(rows, minlength=1).max()) <= 1
        and bool(candidates.free[rows].all())
    )
    if not good:
        raise BrokenContract(
            f"{name} must add {budget} distinct free rows of {candidates.n} with a reason each, or state the "
            f"shortfall; it gave {len(rows)} rows, {len(picked.reasons)} reasons, "
            f"shortfall {picked.shortfall}: {rows!r}"
        )
