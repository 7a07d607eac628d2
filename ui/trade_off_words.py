"""What the trade-off plane shows, as a sentence that claims no more than its intervals and seeds carry."""

from __future__ import annotations

from core.evaluation.measures import overlap
from core.values import Evaluation, Measure
from ui import theme
from ui.study_data import Plane
from ui.trade_off_marks import Mark

RIVALS = 2  # named in the sentence


def sentence(found: Plane, base: Evaluation) -> str:
    """What the plane shows, from the data; neutral where intervals overlap."""
    if not found.marks:
        return "No run has both numbers yet, so there is no point to draw."
    best = max(found.marks, key=lambda m: m.mean.gain.value or 0.0)
    gain, loss, axes = best.mean.gain, best.mean.loss, found.axes
    seeds = f"mean of {len(best.dots)} seeds" if len(best.dots) > 1 else "one seed"
    what = axes.gain.partition(",")[0]
    what = _inner(what)
    said = f"{best.label} has the largest {what}: {_number(gain.value, axes.gain_unit)} ({seeds})"
    before = base.metrics.get("toxicity_mean")
    if before is not None and axes.gain_unit == "%":
        said += f", from {theme.number(before.value)}"
    name, _, change = axes.loss.partition(",")[0].partition(": ")
    said += f"; {_inner(name)}: {change} {_number(loss.value, axes.loss_unit, signed=True)}."
    return " ".join(filter(None, (said, _certain(gain), _rivals(best, found.marks))))


def _number(value: float | None, unit: str, *, signed: bool = False) -> str:
    if value is None:
        return "n/a"
    return f"{value:{'+' if signed else ''}.1f} {unit}"


def _inner(words: str) -> str:
    """The words inside a sentence; names such as OPS stay."""
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def _certain(gain: Measure) -> str:
    if gain.low is None:
        return "Nothing is known of its interval."
    return (
        "Its interval lies above 0." if gain.low > 0 else "Its interval holds 0: the effect is not certain."
    )


def _rivals(best: Mark, marks: list[Mark]) -> str:
    """Which arms cannot be told apart from the best one: no order is claimed among them."""
    same = [
        m.label for m in marks if m is not best and (overlap(m.mean.gain, best.mean.gain) or _mixed(m, best))
    ]
    if not same:
        return ""
    more = f"; and {len(same) - RIVALS} more" if len(same) > RIVALS else ""
    by = "intervals and seeds" if any(len(m.dots) > 1 for m in marks) else "intervals"
    return f"Not told apart from it by these {by}: {'; '.join(same[:RIVALS])}{more}."


def _mixed(mark: Mark, best: Mark) -> bool:
    """Whether a seed of the one reaches a seed of the other."""
    theirs, own = ([d.gain.value for d in m.dots if d.gain.value is not None] for m in (mark, best))
    return bool(theirs and own) and max(theirs) >= min(own)
