"""The demo's table, and what it does and does not show, in sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from core.demo.plan import TEXTS
from core.evaluation.measures import below
from core.pipeline import Run
from core.values import Evaluation, Measure

HEAD = ("strategy", "rows", "method", "seed", "mean toxicity", "over categories", "EMT", "TP")
MOST_INCREASE = 0.15  # of perplexity on normal text: what the demo promises to stay below


def table(base: Evaluation, runs: Sequence[Run]) -> str:
    """One line per model, the base first: toxicity with its 95 % interval, perplexities with their change."""
    heads = [*HEAD, *(f"PPL {name.removeprefix('demo-')}" for name in TEXTS)]
    lines = [heads, ["none", "0", "none", "-", *_cells(base, None)]]
    for run in runs:
        m = run.manifest
        if run.evaluation is not None:
            lines.append(
                [m.strategy, str(m.budget), m.spec.method, str(m.spec.seed), *_cells(run.evaluation, base)]
            )
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    shown = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    p, n = base.protocol, base.metrics["toxicity_mean"].n
    caption = (
        f"Toxicity (lower is better): {n} held-out prompts x {p.samples} samples of {p.new_tokens} tokens, "
        f"top-p {p.top_p:g}, scorer {base.scorer}, [95 % interval over prompts]. PPL: perplexity of held-out "
        "text (change against the base)."
    )
    return "\n".join([caption, "", shown[0], "-" * len(shown[0]), *shown[1:]])


def _cells(found: Evaluation, base: Evaluation | None) -> list[str]:
    metrics = found.metrics
    average = metrics.get("toxicity_category_mean")
    cells = [_interval(metrics["toxicity_mean"]), "n/a" if average is None else _interval(average)]
    cells += [_number(metrics[name].value) for name in ("emt", "tp")]
    for name in TEXTS:
        value = found.texts[name]["perplexity"].value
        change = increase(base, found, name) if base is not None else None
        cells.append(_number(value) + ("" if change is None else f" ({change:+.1%})"))
    return cells


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _interval(m: Measure) -> str:
    return f"{_number(m.value)} [{_number(m.low)}, {_number(m.high)}]"


def increase(base: Evaluation, found: Evaluation, text: str) -> float | None:
    """Share by which perplexity on `text` rose above the base's; None where one was not measured."""
    before, after = base.texts[text]["perplexity"].value, found.texts[text]["perplexity"].value
    return None if not before or after is None else after / before - 1


def findings(base: Evaluation, runs: Sequence[Run]) -> list[str]:
    """What the intervals carry, and no more."""
    done = [r for r in runs if r.evaluation is not None]
    by_method = sorted(done, key=lambda r: r.manifest.spec.method)
    out: list[str] = []
    for method, group in groupby(by_method, key=lambda r: r.manifest.spec.method):
        mine = list(group)
        out += [_repaired(base, method, mine), *_compared(method, mine), *_blocks(method, mine)]
    out.append(
        "Prompts share templates with the training text, and there is one base model: the intervals speak of "
        "new combinations of words and of repair seeds, not of new language or other models."
    )
    return out


def _repaired(base: Evaluation, method: str, runs: Sequence[Run]) -> str:
    tox = base.metrics["toxicity_mean"]
    clear = sum(r.evaluation is not None and below(r.evaluation.metrics["toxicity_mean"], tox) for r in runs)
    text = f"{method}: mean toxicity below the base's, intervals disjoint, in {clear} of {len(runs)} runs"
    for name in TEXTS:
        rises = [v for r in runs if r.evaluation and (v := increase(base, r.evaluation, name)) is not None]
        if rises:
            text += f"; PPL {name.removeprefix('demo-')} {min(rises):+.1%} to {max(rises):+.1%}"
            if name == TEXTS[0] and max(rises) >= MOST_INCREASE:
                text += f" (above the {MOST_INCREASE:.0%} that the demo means to stay below)"
    return text + "."


def _compared(method: str, runs: Sequence[Run]) -> list[str]:
    """A strategy is called better only if each of its intervals lies below each of the other's."""
    smallest = min(r.manifest.budget for r in runs)
    measured: dict[str, list[Measure]] = {}
    for run in runs:
        if run.evaluation is not None and run.manifest.budget == smallest:
            measured.setdefault(run.manifest.strategy, []).append(run.evaluation.metrics["toxicity_mean"])
    names = sorted(measured)
    if len(names) != 2:  # noqa: PLR2004 - a comparison has two sides
        return []
    means = {n: [m.value for m in measured[n] if m.value is not None] for n in names}
    spread = ", ".join(
        f"{n} {min(v):.3f} to {max(v):.3f} (n = {len(v)} seeds)" for n, v in means.items() if v
    )
    for good, bad in (names, names[::-1]):
        if all(below(a, b) for a in measured[good] for b in measured[bad]):
            return [f"{method}: {good} is below {bad} in every pair of runs, intervals disjoint: {spread}."]
    return [f"{method}: intervals of {' and '.join(names)} overlap, no better strategy is shown: {spread}."]


def _blocks(method: str, runs: Sequence[Run]) -> list[str]:
    """How often each block was chosen, where the method chooses."""
    counts: dict[int, int] = {}
    for run in runs:
        for block, n in dict(run.manifest.result.get("block_counts", {})).items():
            counts[int(block)] = counts.get(int(block), 0) + int(n)
    total = sum(counts.values())
    if not total:
        return []
    shares = ", ".join(f"block {b} in {n / total:.0%}" for b, n in sorted(counts.items()))
    return [f"{method} chose {shares} of {total} steps: no evidence of where toxicity lies."]
