"""Selections side by side: what each covers, costs and shares with the others, before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, BadModel
from core.pipeline.desk import Choice
from core.pipeline.predict import Prediction, predict
from core.pipeline.runs import Run, runs
from core.repair import RepairParams
from core.scoring import SCORES
from core.selection import Score
from core.selection.diagnostics import Balance, balance, label_balance, redundancy
from core.selection.distance import nearest
from core.selection.overlap import Intersection, exclusive, expected_matrix, jaccard_matrix
from core.workspace import Signal

SPACES = ("pca50", "embedding")  # distances are measured in the first of them that is stored
Geometry = tuple[float, float, float]  # radius, AUCpr, redundancy


@dataclass(frozen=True)
class Arm:
    """One selection in numbers; None = what it needs is not stored."""

    name: str
    rows: int
    tokens: int | None  # of the chosen rows together
    radius: float | None  # distance of the worst covered eligible row to its nearest chosen one
    aucpr: float | None  # mean of those distances over all eligible rows
    redundancy: float | None  # mean cosine of a chosen row to the most similar other one
    category: Balance  # against the eligible rows
    behaviour: Balance
    shortfall: int
    seconds: float  # that the strategy took
    predicted: Prediction  # of the repair

    @property
    def category_kl(self) -> float:
        """Nats; 0 = the mix of the eligible rows."""
        return self.category.kl

    @property
    def behaviour_kl(self) -> float:
        """Nats; 0 = the mix of the eligible rows."""
        return self.behaviour.kl

    @property
    def predicted_seconds(self) -> float | None:
        """Seconds the repair would train; None = no run of this method yet."""
        return self.predicted.seconds


@dataclass(frozen=True)
class Comparison:
    """Arms over the same eligible rows, and what they share."""

    arms: tuple[Arm, ...]
    eligible: int
    space: str  # in which radius, AUCpr and redundancy were measured; "" = no vectors stored
    jaccard: NDArray[np.float64]  # (k, k)
    expected: NDArray[np.float64]  # (k, k) about what random selections of these sizes would share
    intersections: tuple[Intersection, ...]  # (arms, rows in exactly these), largest first


@dataclass(frozen=True)
class Histograms:
    """One score over the eligible rows and over each arm, in the same bins."""

    edges: NDArray[np.float64]  # (bins + 1,)
    pool: NDArray[np.int64]  # (bins,) eligible rows
    arms: NDArray[np.int64]  # (k, bins)
    pool_missing: int  # eligible rows without the score
    arms_missing: tuple[int, ...]


def compare(choices: Sequence[Choice], names: Sequence[str] = ()) -> Comparison:
    """The choices side by side, named by their strategies where no names are given.

    BadInput where they are not of the same eligible rows: another pool, method or labeller. What is slow is
    remembered by each choice, so an arm that stays as it is costs nothing the next time.
    """
    if not choices:
        raise BadInput("nothing to compare; give at least one recipe")
    for other in choices[1:]:
        _check(choices[0], other)
    n = choices[0].seen.candidates.n
    rows = [choice.picked.rows for choice in choices]
    space, vectors = _vectors(choices[0])
    measured = runs(choices[0].ws)
    arms = [
        _arm(choice, name, _geometry(choice, vectors), measured)
        for choice, name in zip(choices, names or _names(choices), strict=True)
    ]
    return Comparison(
        arms=tuple(arms),
        eligible=n,
        space=space,
        jaccard=jaccard_matrix(rows, n),
        expected=expected_matrix(rows, n),
        intersections=tuple(exclusive(rows, n)),
    )


def _check(first: Choice, other: Choice) -> None:
    """Two choices are of the same rows, so that sharing them and covering them means something."""
    a, b = first.recipe, other.recipe
    asked = "only choices among the same eligible rows can be compared"
    if first.seen.pool.fingerprint != other.seen.pool.fingerprint:
        raise BadInput(f"{asked}: one is of pool {a.pool!r}, another of pool {b.pool!r}; take one pool")
    if a.method != b.method:
        raise BadInput(f"{asked}: one is for {a.method}, another for {b.method}; take one repair method")
    if not np.array_equal(first.seen.found.rows, other.seen.found.rows):
        raise BadInput(
            f"{asked}: {len(first.seen.found.rows):,} rows are eligible for one and "
            f"{len(other.seen.found.rows):,} for another, since the pool was split anew or another labeller "
            "blocks other rows; take one labeller, and choose again"
        )


def _names(choices: Sequence[Choice]) -> list[str]:
    """Strategies; of several of one strategy the later ones are numbered."""
    counts: Counter[str] = Counter()
    names = []
    for choice in choices:
        strategy = choice.recipe.strategy
        counts[strategy] += 1
        names.append(strategy if counts[strategy] == 1 else f"{strategy} {counts[strategy]}")
    return names


def _vectors(choice: Choice) -> tuple[str, Signal | None]:
    for space in SPACES:
        if (signal := choice.signal(f"vectors:{space}")) is not None:
            return space, signal
    return "", None


def _arm(choice: Choice, name: str, geometry: Geometry | None, measured: Sequence[Run]) -> Arm:
    candidates, rows = choice.seen.candidates, choice.picked.rows
    tokens = _tokens(choice)
    radius, area, alike = geometry or (None, None, None)
    assert candidates.categories is not None and candidates.behaviour is not None  # gathered always
    member, behaviour = candidates.categories, candidates.behaviour
    return Arm(
        name=name,
        rows=len(rows),
        tokens=None if tokens is None else int(tokens[rows].sum()),
        radius=radius,
        aucpr=area,
        redundancy=alike,
        category=choice.once("category", lambda: balance(member, candidates.category_names, rows)),
        behaviour=choice.once("behaviour", lambda: label_balance(behaviour, rows)),
        shortfall=choice.picked.shortfall,
        seconds=choice.seconds,
        predicted=predict(
            choice.ws, choice.recipe, len(rows), length=_length(tokens, choice), measured=measured
        ),
    )


def _geometry(choice: Choice, vectors: Signal | None) -> Geometry | None:
    """(radius, AUCpr, redundancy) over the eligible rows; None without vectors or without a chosen row."""
    rows = choice.picked.rows
    if vectors is None or not len(rows):
        return None

    def measure() -> Geometry:
        x = np.asarray(vectors.array()[choice.seen.found.rows])
        gap = nearest(x, rows)
        return float(gap.max()), float(gap.mean()), redundancy(x, rows)

    return choice.once(("geometry", vectors.key.digest), measure)


def _tokens(choice: Choice) -> NDArray[np.int64] | None:
    """(n,) tokens of each eligible row for the recipe's model, where they were counted."""
    try:
        signal = choice.signal("tokens")
    except BadModel:  # the model is not there: nobody counted with it
        return None
    if signal is None:
        return None
    rows = choice.seen.found.rows
    return choice.once(("tokens", signal.key.digest), lambda: signal.array()[rows].astype(np.int64))


def _length(tokens: NDArray[np.int64] | None, choice: Choice) -> float:
    """How long the chosen rows are beside the eligible ones, as training cuts them by default; 1 = alike."""
    if tokens is None or not len(choice.picked.rows):
        return 1.0
    defaults = RepairParams()
    kept = np.minimum(tokens, defaults.prompt_tokens + defaults.response_tokens)
    return float(kept[choice.picked.rows].mean() / max(kept.mean(), 1e-9))


def stored_scores(choice: Choice) -> dict[str, Score]:
    """Name -> score over the eligible rows, of all that are stored for the recipe's model and scorer.

    Nothing is computed; a score may lack rows (NaN).
    """
    found = {}
    for name in SCORES:
        try:
            signal = choice.signal(f"score:{name}")
        except BadModel:  # the model or scorer is not there: nothing was scored with it
            continue
        if signal is not None:
            values = np.asarray(signal.array()[choice.seen.found.rows])
            found[name] = Score(values, signal.facts["direction"])
    return found


def histograms(score: Score, choices: Sequence[Choice], bins: int = 30) -> Histograms:
    """The score's distribution over the eligible rows and each choice, in `bins` shared bins.

    Values that are not finite are counted as missing.
    """
    values = np.asarray(score.values, dtype=np.float64)
    finite = np.isfinite(values)
    edges = np.histogram_bin_edges(values[finite], bins)
    parts = [np.arange(len(values)), *(choice.picked.rows for choice in choices)]
    counts = [np.histogram(values[rows][finite[rows]], edges)[0] for rows in parts]
    missing = [int((~finite[rows]).sum()) for rows in parts]
    return Histograms(
        edges=edges,
        pool=counts[0],
        arms=np.array(counts[1:], dtype=np.int64).reshape(len(choices), bins),
        pool_missing=missing[0],
        arms_missing=tuple(missing[1:]),
    )
