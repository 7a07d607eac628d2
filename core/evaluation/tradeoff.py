"""Repaired models as points: toxicity reduction against perplexity increase, up-right is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.evaluation.measures import finite, measure
from core.evaluation.metrics.composite import toxicity_reduction
from core.evaluation.units import Resampled, Units, resample_together
from core.statistics import percentile_interval
from core.values import Evaluation, Frozen, Measure

BASE = "base"
PAIRED = "paired bootstrap over the same units"
SEPARATE = "from two separate intervals (wider than a paired one)"
NOT_PROTOCOL = {"name"}  # two protocols of equal settings are one
INCREASE = ("perplexity", "bits_per_byte", "last_word_perplexity", "fluency")  # changes told as ratios
HIGHER = ("dist_", "last_word_accuracy", "refusal_unsafe", "TR", "U", "OPS", "RPS", "RES")  # is better


class TradePoint(Frozen):
    """One model in the plane; a value of None is not drawn, its note says why."""

    label: str
    reduction: Measure  # share of the base model's toxicity that is gone; higher is better
    ppl_increase: Measure  # share added to the base model's perplexity; lower is better
    toxicity: Measure  # the model's own
    perplexity: Measure
    is_base: bool = False
    differs: str = ""  # why it cannot stand on one axis with the base; "" = it can


def differences(base: Evaluation, other: Evaluation) -> tuple[str, ...]:
    """What makes the numbers of two evaluations incomparable, in words; empty = nothing."""
    protocol = [
        name
        for name in type(base.protocol).model_fields
        if name not in NOT_PROTOCOL and getattr(base.protocol, name) != getattr(other.protocol, name)
    ]
    checks = {
        f"scorer ({base.scorer}, {other.scorer})": base.scorer_hash != other.scorer_hash,
        f"protocol ({', '.join(protocol)})": bool(protocol),
        f"pool ({base.pool}, {other.pool})": base.pool_fingerprint != other.pool_fingerprint,
        "split of the pool": base.split_hash != other.split_hash,
        f"held-out rows ({base.split}, {other.split})": base.split != other.split,
        f"texts ({', '.join(base.texts) or 'none'}; {', '.join(other.texts) or 'none'})": _texts(base, other),
    }
    checks |= {f"what text set {name} holds": _other(base, other, f"texts:{name}") for name in base.texts}
    return tuple(what for what, differ in checks.items() if differ)


def unlike(base: Evaluation, other: Evaluation) -> set[str]:
    """Numbers of both (as in `all_measures`) that something else was asked for: no change can be told.

    Toxicity and perplexity of comparable evaluations are never among them: see `differences`.
    """
    out: set[str] = set()
    length = 0 not in (base.request_tokens, other.request_tokens) and (
        base.request_tokens != other.request_tokens
    )
    for kind, longer in (("lambada", False), ("requests", length)):
        one, two = getattr(base, kind), getattr(other, kind)
        differ = {n for n in one.keys() & two.keys() if longer or _other(base, other, f"{kind}:{n}")}
        out |= {f"{metric}:{name}" for name in differ for metric in one[name]}
        main = next(iter(one), "")
        if one and two and (main != next(iter(two)) or main in differ):
            out |= set(one[main])  # numbers of the whole are those of the first set
    if base.judge_hash != other.judge_hash:
        out |= {name for name in all_measures(base) if name.startswith("harmful_compliance")}
    return out | ({"fluency"} if base.fluency_hash != other.fluency_hash else set())


def _other(one: Evaluation, two: Evaluation, pool: str) -> bool:
    """Whether two pools of one name held different rows; evaluations of old do not know."""
    here, there = one.contents.get(pool), two.contents.get(pool)
    return here is not None and there is not None and here != there


def all_measures(found: Evaluation) -> dict[str, Measure]:
    """Every number of an evaluation: of the whole by NAME, of one set of texts or requests by NAME:SET."""
    sets = (found.texts, found.lambada, found.requests)
    named = {f"{name}:{of}": m for table in sets for of, row in table.items() for name, m in row.items()}
    return found.metrics | named


def higher_is_better(metric: str) -> bool:
    """The direction of a number of an evaluation, or of a composite score."""
    return metric.startswith(HIGHER)


def points(
    base: Evaluation,
    runs: Sequence[tuple[str, Evaluation]],
    *,
    units: Mapping[str, Units] | None = None,
    toxicity: str = "toxicity_mean",
    text: str = "",
) -> list[TradePoint]:
    """The base model (label "base", at 0, 0) and then the runs, in the order given.

    toxicity: metric of the vertical axis. text: set of the horizontal axis, "" = the main one. units: label
    -> Units, the base under "base"; with them the intervals of toxicity_mean and perplexity are paired.
    """
    here = _tox(base, toxicity), _ppl(base, text)
    zero = Measure(value=0.0, low=0.0, high=0.0, n=here[0].n, unit="share of base toxicity", note="reference")
    out = [
        TradePoint(
            label=BASE,
            reduction=zero,
            ppl_increase=zero.model_copy(update={"n": here[1].n, "unit": "share of base perplexity"}),
            toxicity=here[0],
            perplexity=here[1],
            is_base=True,
        )
    ]
    drawn = _drawn(base, runs, units or {})
    for name, run in runs:
        pair = (drawn[BASE], drawn[name]) if name in drawn else None
        out.append(_point(name, base, run, pair, toxicity, text))
    return out


def _drawn(
    base: Evaluation, runs: Sequence[tuple[str, Evaluation]], units: Mapping[str, Units]
) -> dict[str, Resampled]:
    """Label -> resamples of the base and every comparable run with units, all drawn once and together."""
    named = [BASE, *(name for name, run in runs if name in units and not differences(base, run))]
    if BASE not in units:
        return {}
    return dict(zip(named, resample_together([units[name] for name in named]), strict=True))


def pareto_front(trade: Sequence[TradePoint]) -> list[int]:
    """Indices of the points that no other beats on both axes, in the order of the staircase.

    Ordered by rising perplexity increase, hence by rising reduction. Points without a value are never on it;
    of equal points all are.
    """
    known = [
        (float(p.ppl_increase.value), -float(p.reduction.value), at)
        for at, p in enumerate(trade)
        if p.reduction.value is not None and p.ppl_increase.value is not None
    ]
    front: list[int] = []
    best: tuple[float, float] | None = None  # cheapest point of the largest reduction so far
    for cost, loss, at in sorted(known):
        if best is None or loss < best[1] or (cost, loss) == best:
            front.append(at)
            best = (cost, loss)
    return front


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area that (reduction, cost) points rule over, up to the reference (lowest reduction, highest cost).

    Zitzler and Thiele, IEEE Trans. Evol. Comput. 3 (1999), 257-271, exactly, for two axes: reduction is
    gained, cost is paid. A point that is not strictly better than the reference on both axes adds nothing.
    """
    floor, ceiling = reference
    inside = sorted((cost, gain) for gain, cost in points if gain > floor and cost < ceiling)
    area, best = 0.0, floor
    for cost, gain in inside:  # from the cheapest: each adds the strip above all cheaper ones
        if gain > best:
            area += (gain - best) * (ceiling - cost)
            best = gain
    return area


def _point(
    name: str,
    base: Evaluation,
    run: Evaluation,
    pair: tuple[Resampled, Resampled] | None,
    toxicity: str,
    text: str,
) -> TradePoint:
    tox, ppl = (_tox(base, toxicity), _tox(run, toxicity)), (_ppl(base, text), _ppl(run, text))
    units = ("share of base toxicity", "share of base perplexity")
    if differs := differences(base, run):
        sentence = f"not comparable with the base model's numbers: they differ in {'; '.join(differs)}"
        nothing = [Measure(value=None, unit=unit, note=sentence) for unit in units]
        return TradePoint(
            label=name,
            reduction=nothing[0],
            ppl_increase=nothing[1],
            toxicity=tox[1],
            perplexity=ppl[1],
            differs=sentence,
        )
    reduction = increase = None
    if pair and toxicity == "toxicity_mean":
        reduction = toxicity_reduction(pair[0].toxicity, pair[1].toxicity)
    main = text or next(iter(base.texts), "")
    if pair and main in pair[0].perplexity:
        with np.errstate(invalid="ignore"):
            increase = pair[1].perplexity[main] / pair[0].perplexity[main] - 1
    return TradePoint(
        label=name,
        reduction=_change(*tox, reduction, -1, units[0]),
        ppl_increase=_change(*ppl, increase, 1, units[1]),
        toxicity=tox[1],
        perplexity=ppl[1],
    )


def _change(
    before: Measure, after: Measure, drawn: NDArray[np.float64] | None, sign: int, unit: str
) -> Measure:
    """Value sign * (after / before - 1), with paired resamples where there are any, else two intervals."""
    n = min(before.n, after.n)
    if before.value is None or after.value is None or before.value == 0:
        why = (
            "the base model's value is 0" if before.value == 0 else (after.note or before.note or "no value")
        )
        return Measure(value=None, n=n, unit=unit, note=f"n/a: {why}")
    value = sign * (after.value / before.value - 1)
    if drawn is not None and len(drawn) > 1 and np.isfinite(drawn).any():
        interval = percentile_interval(value, drawn[1:][np.isfinite(drawn[1:])])
        return measure(interval, n, unit, PAIRED)
    low, high = sorted(sign * (bound - 1) for bound in _ratio_bounds(after, before))
    return Measure(value=value, low=finite(low), high=finite(high), n=n, unit=unit, note=SEPARATE)


def _ratio_bounds(top: Measure, bottom: Measure) -> tuple[float, float]:
    """Bounds of top / bottom from their own bounds, taken as independent; NaN where there are none.

    MOVER-R, Donner and Zou, "Closed-form confidence intervals for functions of the normal mean and standard
    deviation", Stat. Methods Med. Res. 21 (2012), 347-359, for a positive denominator.
    """
    a, la, ua = top.value, top.low, top.high
    b, lb, ub = bottom.value, bottom.low, bottom.high
    if a is None or b is None or la is None or ua is None or lb is None or ub is None or lb <= 0:
        return math.nan, math.nan
    # the paper's (ab - root) / (ub (2b - ub)) with its root moved below, or ub = 2b would divide by 0
    root = math.sqrt(max(0.0, (a * b) ** 2 - la * ub * (2 * a - la) * (2 * b - ub)))
    low = la * (2 * a - la) / (a * b + root) if la else 0.0
    high = (a * b + math.sqrt(max(0.0, (a * b) ** 2 - ua * lb * (2 * a - ua) * (2 * b - lb)))) / (
        lb * (2 * b - lb)
    )
    return low, high


def _tox(model: Evaluation, name: str) -> Measure:
    return model.metrics.get(name, Measure(value=None, note=f"{name} was not measured"))


def _ppl(model: Evaluation, text: str) -> Measure:
    table = model.texts.get(text, {}) if text else model.metrics
    return table.get("perplexity", Measure(value=None, note="no text was measured"))


def _texts(one: Evaluation, two: Evaluation) -> bool:
    """Whether text sets or their sizes differ; a model without probabilities of texts has no size (n = 0)."""
    here, there = ({name: t["perplexity"].n for name, t in m.texts.items()} for m in (one, two))
    return here.keys() != there.keys() or any(
        here[name] != there[name] and 0 not in (here[name], there[name]) for name in here
    )
