"""Query-focused facility location: rows that resemble what went wrong, each failure by some chosen row.

Kothawade, Kaushal, Ramakrishnan, Bilmes and Iyer, "PRISM: A Rich Class of Parameterized Submodular
Information Measures for Guided Subset Selection", AAAI 2022 (arXiv:2103.00128): mutual information of
facility location, in its variant over the query, and of graph cut (selection 9.2). The queries are observed
failures.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from core.errors import MissingInput
from core.selection.base import Candidates, Ledger, Picked, Reference, strategy
from core.selection.coverage import DENSE_ROWS, NEIGHBOURS, Dense, Similarity, Sparse, cover
from core.selection.distance import Matrix, blocks
from core.selection.kernels import Kernel, Lists, closest, features
from core.selection.reasons import Reasons
from core.values import Params, Reporter

SPACE = "embedding"


class FacilityLocationQueryParams(Params):
    """What is maximised, and what similar means."""

    objective: Literal["facility_location", "graph_cut"] = Field(
        "facility_location",
        description="Every failure has a similar chosen row, or chosen rows are similar to all failures "
        "together (no row makes another one superfluous).",
    )
    eta: float = Field(
        1.0, ge=0.0, le=10.0, description="Facility location: weight of a row's own nearest failure."
    )
    kernel: Kernel = Field(
        "cos01",
        description="Similarity: cos01 is (1 + cosine) / 2; cos is the cosine, below 0 counts as 0.",
    )


@strategy(
    title="Facility location for failures",
    source="arXiv:2103.00128, FLQMI and GCMI",
    needs=(f"vectors:{SPACE}", f"reference:{SPACE}"),
    nested=True,
)
def facility_location_query(
    candidates: Candidates,
    budget: int,
    params: FacilityLocationQueryParams,
    rng: np.random.Generator,
    reporter: Reporter,
) -> Picked:
    """Take the row that adds most to sum_Q max_S s + eta sum_S max_Q s, or to 2 sum_Q,S s.

    Q are the reference rows with a bad answer on record; pins count as chosen (S). A reason's score is what
    the row added, its share "coverage" the part that came from failures it is nearest to now.
    `trace["objective"]` is the value after each row.
    """
    failures = features(_failures(candidates.references[SPACE]), params.kernel)
    rows = features(candidates.vectors[SPACE], params.kernel)
    if params.objective == "graph_cut":
        worth = 2.0 * (rows @ failures.sum(axis=0, dtype=np.float64))
        similarity: Similarity = Dense(rows.T[:0], rows[:, :0], np.empty(0, dtype=np.float32))
    else:
        worth = params.eta * _nearest(rows, failures)
        similarity = _similarities(rows, failures, reporter)
    picked, gain, left = cover(similarity, candidates.free, candidates.taken, budget, reporter, worth)
    added, alone = gain[len(candidates.taken) :], worth[picked]
    own = np.clip(np.divide(alone, added, out=np.ones(len(added)), where=added > 0), 0.0, 1.0)
    return Picked(
        picked,
        Reasons(budget, "near failures", score=added, shares={"coverage": 1.0 - own, "nearness": own}),
        trace={"objective": np.cumsum(gain)},
        ledger=Ledger(value=left, value_name="gain in similarity to the failures", spent=True),
    )


def _failures(reference: Reference) -> Matrix:
    """Vectors of the failed reference rows; all of them where nobody has said which failed."""
    if reference.failed is None:
        return reference.vectors
    if not reference.failed.any():
        raise MissingInput(
            f"none of the {len(reference)} reference rows failed: no bad answer is on record for them; name "
            "a reference pool whose rows have a rejected text (a model's toxic failures can be kept as one), "
            "or choose a strategy without a reference"
        )
    return reference.vectors[reference.failed]


def _nearest(rows: Matrix, failures: Matrix) -> Matrix:
    """(n,) similarity to the most similar failure, at least 0."""
    top = np.zeros(len(rows))
    for part in blocks(len(rows), len(failures)):
        np.maximum(top[part], (rows[part] @ failures.T).max(axis=1), out=top[part])
    return top


def _similarities(rows: Matrix, failures: Matrix, reporter: Reporter) -> Similarity:
    """Of every failure to every row, or to the nearest rows only where all would need more than 400 MB."""
    m, n = len(failures), len(rows)
    weight = np.ones(m, dtype=np.float32)
    if m * n <= DENSE_ROWS**2:
        products = failures @ rows.T
        return Dense(products, products.T, weight)
    near, value = closest(failures, rows, min(NEIGHBOURS, n), reporter)
    one, other, every = np.repeat(np.arange(m), near.shape[1]), near.ravel(), value.ravel()
    return Sparse(Lists.of(one, other, every, (m, n)), Lists.of(other, one, every, (n, m)), weight)
