"""From a statistic to a Measure: the number with bounds, unit and n, as it is stored and shown."""

from __future__ import annotations

import math

from core.statistics import Interval
from core.values import Measure

NOT_FINITE = "not finite: the model gives no usable probabilities"


def finite(value: float | None) -> float | None:
    """The number, or None where it is NaN or infinite: json and charts know neither."""
    return None if value is None or not math.isfinite(value) else float(value)


def measure(interval: Interval, n: int, unit: str, note: str = "") -> Measure:
    """The interval as a Measure; what is not finite becomes None."""
    return Measure(
        value=finite(interval.value),
        low=finite(interval.low),
        high=finite(interval.high),
        n=n,
        unit=unit,
        note=note,
    )


def below(a: Measure, b: Measure) -> bool:
    """Whether a's interval lies wholly below b's; unknown bounds carry no claim."""
    return a.high is not None and b.low is not None and a.high < b.low


def overlap(a: Measure, b: Measure) -> bool:
    """Whether neither interval lies wholly below the other: nothing tells the two apart."""
    return not below(a, b) and not below(b, a)
