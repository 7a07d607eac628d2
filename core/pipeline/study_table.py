"""A study as a table: one row per finished run, with its place in the grid, its numbers, its cost."""

from __future__ import annotations

import pandas as pd

from core.evaluation.tradeoff import all_measures
from core.pipeline.study_numbers import SCORES, Cell, Numbers


def table(study: str, numbers: Numbers) -> pd.DataFrame:
    """One row per finished run; a number NAME has NAME.low, NAME.high and NAME.n beside it.

    A run that was not measured, or not as the base model was (comparable is False), has no composite scores.
    """
    return pd.DataFrame([_row(study, numbers, cell) for cell in numbers.finished])


def _row(study: str, numbers: Numbers, cell: Cell) -> dict[str, object]:
    run = cell.run
    assert run is not None
    m, found = run.manifest, run.evaluation
    row: dict[str, object] = {
        "study": study,
        "strategy": cell.strategy,
        "budget": cell.budget.words,
        "rows": m.budget,
        "share": run.share,
        "method": cell.method,
        "seed": cell.seed,
        "full": cell.full,
    }
    comparable = any(cell is one for one in numbers.cells)
    measures = {} if found is None else all_measures(found)
    measures = {name: one for name, one in measures.items() if "[" not in name}  # one category's
    if comparable:
        measures |= {name: numbers.value(cell, name) for name in (*numbers.utilities, *SCORES)}
    for name, one in measures.items():
        row |= {name: one.value, f"{name}.low": one.low, f"{name}.high": one.high, f"{name}.n": one.n}
    return row | {
        "select_seconds": m.select_seconds,
        "repair_seconds": m.result.get("seconds"),
        "evaluation_seconds": found.seconds if found is not None else None,
        "tokens": m.result.get("tokens"),
        "peak_bytes": m.result.get("peak_bytes"),
        "run": run.id,
        "base_evaluation": m.base_evaluation,
        "comparable": comparable,
        "scorer": found.scorer if found is not None else None,
        "scorer_hash": found.scorer_hash if found is not None else None,
        "protocol": found.protocol.name if found is not None else None,
        "definition": numbers.unit("OPS") if comparable else None,
    }
