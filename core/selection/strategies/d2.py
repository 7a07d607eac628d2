"""D2 pruning: hard rows that lie among other hard rows, but not next to each other.

Maharana, Yadav and Bansal, "D2 Pruning: Message Passing for Balancing Diversity and Difficulty in Data
Pruning", ICLR 2024 (arXiv:2310.07931), section 3; the rule of the authors' code (selection 9.3), with the
order kept.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.errors import BadInput
from core.selection.base import Candidates, Ledger, Picked, Score, strategy
from core.selection.distance import Matrix, centred, squares
from core.selection.kernels import Lists, Space, closest
from core.selection.reasons import Reasons
from core.values import Params, Reporter, Rows

TIE = 1e-12  # part of the largest value: sums in another order are not another number


class D2Params(Params):
    """Difficulty, the graph of neighbours, and how far a chosen row pushes its neighbours back."""

    score: str = Field(
        "el2n",
        description="Difficulty score; one where higher is easier (AUM) is turned round.",
        json_schema_extra={"registry": "score"},
    )
    neighbours: int = Field(5, ge=1, le=100, description="Neighbours of each row in the graph.")
    gamma: float = Field(
        0.1, ge=0.0, le=1.0, description="How fast a chosen row's push fades with distance (gamma_r)."
    )
    graph: Literal["directed", "symmetric"] = Field(
        "directed",
        description="A row hears its nearest rows only, or also those that have it among their nearest.",
    )
    space: Space = Field("embedding", description="Vector space of the graph, by Euclidean distance.")


@strategy(
    title="D2 pruning",
    source="arXiv:2310.07931, section 3",
    needs=lambda params: (f"vectors:{params.space}", f"score:{params.score}"),
    nested=True,
)
def d2(
    candidates: Candidates, budget: int, params: D2Params, rng: np.random.Generator, reporter: Reporter
) -> Picked:
    """Add neighbours' difficulty to each row's own; take the largest, push its neighbours back, and so on.

    x_i = s_i + sum over neighbours e^-d_ij s_j; a row taken with x_i lowers each neighbour j by e^(-gamma
    d_ij) x_i. Difficulties below 0 are shifted, so that the easiest row has 0. A reason's score is x when
    the row was taken. Pins push their neighbours first; banned rows are outside the graph.
    """
    usable = np.flatnonzero(candidates.usable)
    difficulty = _difficulty(params.score, candidates.scores[params.score], usable)
    k = min(params.neighbours, len(usable) - 1)
    graph = candidates.once(
        ("d2", params.space, k, params.graph),
        lambda: _graph(candidates.vectors[params.space][usable], k, params.graph, reporter),
    )
    held = np.searchsorted(usable, candidates.taken)
    order, value = _pass_messages(graph, difficulty, held, budget, params.gamma, reporter)
    everyone = np.zeros(candidates.n)
    everyone[usable] = value
    return Picked(
        usable[order],
        Reasons(budget, "hard and new", score=value[order]),
        ledger=Ledger(value=everyone, value_name="difficulty in its neighbourhood"),
    )


def _difficulty(name: str, score: Score, usable: Rows) -> NDArray[np.float64]:
    """(m,) of the usable rows, at least 0, higher is harder."""
    hard = score.hardness[usable]
    wild = int(np.isinf(hard).sum())
    if wild:
        raise BadInput(
            f"score {name!r} is infinite for {wild} rows, which no neighbour can add up; "
            "ban them or choose another score"
        )
    return hard - min(float(hard.min()), 0.0)


def _graph(vectors: Matrix, k: int, kind: str, reporter: Reporter) -> Lists:
    """Row -> its neighbours, each with its distance: the k nearest, where symmetric in either direction."""
    x = centred(vectors)
    n = len(x)
    order = np.hstack([2 * x, -squares(x)[:, None]])  # 2 x.y - y.y ranks rows y as their distance to x does
    near, _ = closest(np.hstack([x, np.ones((n, 1), x.dtype)]), order, k, reporter, same=True)
    one, other = np.repeat(np.arange(n), k), near.ravel()
    distance = np.empty((n, k))
    for place in range(k):
        apart = x - x[near[:, place]]
        distance[:, place] = np.sqrt(np.einsum("ij,ij->i", apart, apart, dtype=np.float64))
    far = distance.ravel()
    if kind == "symmetric":
        one, other = np.concatenate([one, other]), np.concatenate([other, one])
        far = np.concatenate([far, far])
    return Lists.of(one, other, far, (n, n))


def _pass_messages(
    graph: Lists, difficulty: NDArray[np.float64], held: Rows, count: int, gamma: float, reporter: Reporter
) -> tuple[Rows, NDArray[np.float64]]:
    """(picked (count,), x (n,) at the end, or when the row was taken)."""
    n = len(difficulty)
    hears = np.repeat(np.arange(n), np.diff(graph.start))
    x = difficulty + np.bincount(hears, np.exp(-graph.value) * difficulty[graph.other], n)
    push, value, tie = np.exp(-gamma * graph.value), x.copy(), TIE * x.max()
    order = np.empty(count, dtype=np.int64)
    for turn in range(-len(held), count):
        reporter.progress(max(turn, 0), count, "rows")
        j = int(held[turn]) if turn < 0 else int((x >= x.max() - tie).argmax())
        part = slice(graph.start[j], graph.start[j + 1])
        value[j] = x[j]
        x[graph.other[part]] -= push[part] * x[j]
        x[j] = -np.inf
        if turn >= 0:
            order[turn] = j
    left = np.isfinite(x)
    value[left] = x[left]
    return order, value
