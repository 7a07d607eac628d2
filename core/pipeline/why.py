"""Why this row, and why not that one: a choice explained in sentences, whatever its strategy.

Everything is read from what a strategy leaves behind: reasons of the rows it took, its ledger of all others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.pipeline.choose import pick
from core.pipeline.desk import Choice
from core.pipeline.gather import eligibility
from core.pipeline.standing import Standing, ordinal, rounded, standing
from core.repair import METHODS
from core.selection import Ledger, Picked
from core.values import Budget, Reason, Rows

PATIENCE = 1.0  # seconds that another run of the strategy may take to answer better
GROWTH = 2  # it asks for so many times the rows of the run before; its time may grow with their square
SPACES = ("embedding", "pca50")  # likeness is measured in the first of them that is there
ROLES = {
    "random": "at random",
    "boundary": "as a row at the boundary of its cluster",
    "centre": "as a row at the centre of its cluster",
    "noise": "as a row outside every cluster",
    "spill": "to fill up what the groups could not",
    "start": "as the row the search starts from",
    "farthest": "as the row farthest from those taken before it",
    "duplicate": "as an exact copy of a taken row, with nothing else left",
}


@dataclass(frozen=True)
class Why:
    """One row against one choice. Sentences name rows by id only and hold no text of an example."""

    row_id: str
    chosen: bool
    rank: int | None  # 1 = taken first; None = not chosen
    sentences: tuple[str, ...]
    nearest: tuple[tuple[str, float], ...]  # the most similar other chosen rows: (id, cosine), nearest first
    space: str = ""  # in which the cosine was measured; "" = no vectors stored


def why(choice: Choice, row_id: str, nearest: int = 3) -> Why:
    """Why the choice holds the row, or why it does not and what would have to change."""
    if row_id not in choice.seen.candidates.ids:
        return Why(row_id, False, None, _not_eligible(choice, row_id), ())
    row = choice.seen.candidates.ids.index(row_id)
    place = np.flatnonzero(choice.picked.rows == row)
    rank = int(place[0]) + 1 if len(place) else None
    said = _not_chosen(choice, row) if rank is None else _chosen(choice, row, rank)
    similar, space = _nearest(choice, row, nearest)
    return Why(row_id, rank is not None, rank, tuple(said), similar, space)


def _not_eligible(choice: Choice, row_id: str) -> tuple[str, ...]:
    pool, method = choice.seen.pool, choice.recipe.method
    places = np.flatnonzero((pool.frame["id"].astype(str) == row_id).to_numpy())
    if not len(places):
        return (f"Pool {pool.name!r} holds no row {row_id!r}; check the id.",)
    alone = replace(pool, frame=pool.frame.iloc[places[:1]])
    reason = next(iter(eligibility(alone, method).left_out))
    cause = f"it has {reason} text" if reason.startswith("no ") else f"it is {reason}"
    said = f"It is not among the rows that {method} can learn from: {cause}."
    learning = [name for name in METHODS if METHODS[name].phases]  # the others learn from no row
    others = [name for name in learning if len(eligibility(alone, name).rows)]
    return (said, f"It is eligible for {', '.join(others)}.") if others else (said,)


def _chosen(choice: Choice, row: int, rank: int) -> list[str]:
    picked = choice.picked
    reason = picked.reasons[rank - 1]
    if reason.role == "pin":
        said = ["It is pinned by hand: pins come first and count inside the budget."]
    else:
        ledger = _ledger(choice)
        found = None if ledger is None else standing(choice.exact, choice.seen.candidates, ledger, row)
        said = [f"It was taken as number {rank:,} of {len(picked.rows):,}{_role(choice, reason, found)}."]
        said += _score(reason, found)
    if picked.stands_for is not None and (twins := np.flatnonzero(picked.stands_for == row)).size:
        ids = [choice.seen.candidates.ids[t] for t in twins[:3]]
        more = f" and {len(twins) - 3:,} more" if len(twins) > 3 else ""  # noqa: PLR2004 - as many as are named
        said.append(f"It stands for near-duplicates that were set aside: {', '.join(ids)}{more}.")
    return said


def _role(choice: Choice, reason: Reason, found: Standing | None) -> str:
    """As what it was taken; and from where, unless its standing says so."""
    role = reason.role
    plain = role in ("", choice.recipe.strategy, "category", "stratum")
    words = "" if plain else ", " + ROLES.get(role, f'in the role "{role}"')
    if found is None or not found.where:
        places = {"stratum": reason.bin, "cluster": reason.cluster, "category": reason.category}
        words += "".join(f", from {kind} {name}" for kind, name in places.items() if name is not None)
    return words


def _score(reason: Reason, found: Standing | None) -> list[str]:
    """What it was taken for: its value and its rank where it competed, and the parts of the value."""
    said, name = [], "score"
    if reason.score is not None:
        place = ""
        if found is not None and found.value is not None and np.isclose(found.value, reason.score):
            name, inside = found.name, f" {found.where}" if found.where else ""
            place = f", {ordinal(found.rank)} of {found.rivals:,}{inside}"
        said.append(f"Its {name} is {rounded(reason.score)}{place}.")
    if found is not None and (found.where or found.at_random):
        said.append(f"{found.counted}{found.odds}.")
    return said + _parts(reason, name)


def _parts(reason: Reason, name: str) -> list[str]:
    """Which weights brought the row its total, the largest and the smallest."""
    said = []
    if len(reason.shares) > 1:
        least, *_, most = sorted(reason.shares, key=reason.shares.__getitem__)
        said.append(
            f"Most of its {name} comes from {most} ({100 * reason.shares[most]:.0f} %), "
            f"least from {least} ({100 * reason.shares[least]:.0f} %)."
        )
    if reason.penalty:
        said.append(f"{rounded(reason.penalty)} was taken off for likeness to rows chosen before it.")
    return said


def _not_chosen(choice: Choice, row: int) -> list[str]:
    candidates = choice.seen.candidates
    if not candidates.usable[row]:
        return ["It is banned by hand; lift the ban to let it compete."]
    stands_for = choice.picked.stands_for
    if stands_for is not None and stands_for[row] >= 0:
        return _set_aside(choice, row, int(stands_for[row]))
    if not len(choice.picked.rows):
        return ["Nothing was chosen: the budget is 0."]
    ledger = _ledger(choice)
    if ledger is not None and ledger.out is not None and ledger.out[row]:
        return [f"It was out of the race: {ledger.out_reason or 'the strategy never takes such rows'}."]
    said = [] if ledger is None else _lost(standing(choice.exact, candidates, ledger, row))
    return said + _later(choice, row) or ["The strategy keeps no record of the rows it passes over."]


def _set_aside(choice: Choice, row: int, twin: int) -> list[str]:
    candidates = choice.seen.candidates
    x = candidates.vectors["embedding"]  # the filter's need
    cosine = float(_cosines(x[[twin]], x[row])[0])
    place = np.flatnonzero(choice.picked.rows == twin)
    fate = f"was taken as number {int(place[0]) + 1:,}" if len(place) else "was not taken either"
    return [
        f"It is set aside as a near-duplicate of {candidates.ids[twin]} (cosine {rounded(cosine)}), "
        f"which {fate}.",
        "Without the filter, or with a smaller eps, it could compete.",
    ]


def _lost(found: Standing) -> list[str]:
    """How it stood in its group, and where the line was drawn."""
    if found.at_random:
        return [f"{found.counted}{found.odds}{': it was not among them' if found.taken else ''}."]
    if found.missing:
        return [f"{found.counted}; it has no {found.name}, which decides."]
    if found.verdict:
        return [f"{found.counted}; its {found.name} {found.verdict}."]
    return [f"{found.counted}."] if found.where or found.pinned else []


def _later(choice: Choice, row: int) -> list[str]:
    """From which budget on a nested strategy would take it."""
    if not choice.nested:
        return []
    order, whole = _longer(choice, row)
    place = np.flatnonzero(order.rows == row)
    if not len(place):
        return ["No budget would take it with these settings."] if whole else []
    count, candidates = int(place[0]) + 1, choice.seen.candidates
    cost = f"{count:,} rows on, {100 * count / candidates.n:.3g} % of the eligible rows"
    if choice.recipe.budget.tokens is not None and candidates.tokens is not None:
        cost = f"{int(candidates.tokens[order.rows[:count]].sum()):,} tokens on, which are {count:,} rows"
    name = order.ledger.value_name or "score"
    return [*_parts(order.reasons[count - 1], name), f"It would be taken from a budget of {cost}."]


def _longer(choice: Choice, row: int) -> tuple[Picked, bool]:
    """(an order that holds the row, or the longest that is quick to make; whether it is the whole one)."""
    n = choice.seen.candidates.n
    order, asked, seconds = choice.memo.get("longer", (choice.order, len(choice.order.rows), choice.seconds))
    spent = 0.0
    while row not in order.rows and asked < n and spent + GROWTH**2 * seconds <= PATIENCE:
        asked = min(n, GROWTH * asked)
        more = choice.recipe.model_copy(update={"budget": Budget(rows=asked)})
        started = time.perf_counter()
        order = pick(choice.seen, more)
        seconds = time.perf_counter() - started
        spent += seconds
        choice.memo["longer"] = (order, asked, seconds)
    return order, asked >= n


def _ledger(choice: Choice) -> Ledger | None:
    """The ledger of this budget; of a cut from a longer order only where running it anew is quick."""
    quick = choice.picked is choice.order or choice.seconds <= PATIENCE
    return choice.exact.ledger if quick else None


def _nearest(choice: Choice, row: int, count: int) -> tuple[tuple[tuple[str, float], ...], str]:
    """The most similar other chosen rows, and the space their cosine was measured in."""
    rows = choice.picked.rows[choice.picked.rows != row]
    for space in SPACES:
        if (x := _vectors(choice, space, np.append(rows, row))) is not None:
            cosine = _cosines(x[:-1], x[-1])
            best = np.argsort(-cosine, kind="stable")[:count]
            ids = choice.seen.candidates.ids
            return tuple((ids[rows[b]], float(cosine[b])) for b in best), space
    return (), ""


def _vectors(choice: Choice, space: str, rows: Rows) -> NDArray[Any] | None:
    """(len(rows), d) vectors of these candidates: what the strategy saw, else what is stored."""
    if space in choice.seen.candidates.vectors:
        return choice.seen.candidates.vectors[space][rows]
    signal = choice.signal(f"vectors:{space}")
    return None if signal is None else np.asarray(signal.array()[choice.seen.found.rows[rows]])


def _cosines(x: NDArray[Any], one: NDArray[Any]) -> NDArray[np.float64]:
    """(m,) cosine of each row of x (m, d) to `one` (d,); a zero vector is like nothing (0)."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(one, dtype=np.float64)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b)
    cosine: NDArray[np.float64] = np.divide(a @ b, length, out=np.zeros(len(a)), where=length > 0)
    return np.clip(cosine, -1.0, 1.0)
