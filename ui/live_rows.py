"""Rows of a run's metrics.jsonl as tables for charts: void rows dropped, gaps kept, long series thinned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Row = Mapping[str, Any]
COLUMNS = 400  # of the heat map
POINTS = 400  # of a line; the download has all
RECENT = 20  # steps that speed is the median of
ALARM_FALL = 0.10  # of the chosen log-probability's size
ALARM_STEPS = 10  # compared at either end, at most
# Parts that are no loss: told by charts of their own. The rest of a step's parts are terms of its loss.
NO_LOSS = ("reward_good", "reward_bad", "accuracy", "logprob_good", "logprob_bad", "kl")
SPEED = ("lr", "grad_norm", "tokens_per_second", "step_ms", "peak_bytes")


@dataclass(frozen=True)
class Live:
    """One phase of a run as far as it is known; every table is in the order of the steps."""

    steps: (
        pd.DataFrame
    )  # step, loss, one column per part, lr, grad_norm, tokens_per_second, step_ms, block ..
    terms: tuple[str, ...]  # parts that are terms of the loss
    sensitivity: NDArray[np.float64]  # (steps, blocks), NaN = not told; (steps, 0) without blocks
    validation: pd.DataFrame  # step, validation, best, best_step, patience, patience_of
    panel: pd.DataFrame  # step, toxicity, perplexity, kl, seconds
    samples: tuple[tuple[int, list[Row]], ...]  # (step, samples) of the first and the latest look
    note: str  # of the latest look, what it could not measure and why
    saved: tuple[str, ...]  # sentences that say where the model was written


def phases(rows: Sequence[Row]) -> list[str]:
    """Names of the phases in their order; [""] for a run of one nameless phase."""
    return list(dict.fromkeys(name for name, _ in _valid(rows))) or [""]


def _valid(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """(phase, row) of all rows that count: what a kill undid was done again after {"resumed": step}.

    A row that names no phase belongs to the one named last before it.
    """
    current = next((str(r["phase"]) for r in rows if "phase" in r), "")
    kept: list[tuple[str, Row]] = []
    for row in rows:
        current = str(row.get("phase", current))
        if "resumed" in row:
            upto = row["resumed"]
            kept = [(name, r) for name, r in kept if name != current or r.get("step", 0) <= upto]
        else:
            kept.append((current, row))
    return kept


def read(rows: Sequence[Row], phase: str) -> Live:
    """The tables of one phase."""
    mine = [row for name, row in _valid(rows) if name == phase]
    measured = [row for row in mine if "loss" in row]
    looks = [(int(row["step"]), row["panel"]) for row in mine if "panel" in row]
    told = [(step, panel["samples"]) for step, panel in looks if panel.get("samples")]
    steps = _by_step([_step(row) for row in measured])
    names = list(dict.fromkeys(n for row in measured for n in row.get("parts") or {}))
    return Live(
        steps=steps,
        terms=tuple(n for n in names if n not in NO_LOSS and not steps[n].equals(steps["loss"])),
        sensitivity=_sensitivity(measured, steps),
        validation=_by_step([dict(row) for row in mine if "validation" in row]),
        panel=_by_step([{"step": step} | _numbers(panel) for step, panel in looks]),
        samples=tuple(dict(told[:1] + told[-1:]).items()),
        note=str(looks[-1][1].get("note", "")) if looks else "",
        saved=tuple(str(row["saved"]) for row in mine if "saved" in row),
    )


def _step(row: Row) -> dict[str, Any]:
    """One training step as numbers; what was not finite was written as null and becomes NaN here."""
    told = {"step": row["step"], "loss": row["loss"]} | dict(row.get("parts") or {})
    told |= {name: row[name] for name in (*SPEED, "block", "cold") if name in row}
    return {name: math.nan if value is None else value for name, value in told.items()}


def _numbers(panel: Row) -> dict[str, Any]:
    return {name: value for name, value in panel.items() if name not in ("samples", "note")}


def _by_step(found: list[dict[str, Any]]) -> pd.DataFrame:
    """A table whose steps rise; of a step told twice the later word counts."""
    frame = pd.DataFrame(found, columns=None if found else ["step"])
    return frame.drop_duplicates("step", keep="last").sort_values("step", ignore_index=True)


def _sensitivity(measured: Sequence[Row], steps: pd.DataFrame) -> NDArray[np.float64]:
    """(steps, blocks): S of each block before each step, NaN where it was not told or not finite."""
    told = {int(row["step"]): row.get("sensitivity") or () for row in measured}
    width = max((len(s) for s in told.values()), default=0)
    found = np.full((len(steps), width), np.nan)
    for at, step in enumerate(steps["step"]):
        values = told[int(step)]
        found[at, : len(values)] = [np.nan if v is None else v for v in values]
    return found


def thin(frame: pd.DataFrame, names: Sequence[str], limit: int = POINTS) -> pd.DataFrame:
    """At most `limit` rows: means of neighbouring steps, at their last; one gap among them stays a gap."""
    width = math.ceil(len(frame) / limit)
    part = frame[["step", *names]]
    if width <= 1:
        return part
    group = np.arange(len(part)) // width
    means = part[list(names)].astype(float).groupby(group).mean()
    means = means.where(part[list(names)].notna().groupby(group).all())
    return means.assign(step=part["step"].groupby(group).last())[["step", *names]]


def columns(live: Live, limit: int = COLUMNS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The heat map in at most `limit` columns: steps (m,) and S (m, blocks), the largest of each column."""
    steps = live.steps["step"].to_numpy(dtype=np.float64)
    group = _columns_of(len(steps), limit)
    edges = np.flatnonzero(np.diff(group, prepend=-1))
    largest = np.fmax.reduceat(live.sensitivity, edges, axis=0)  # fmax: a gap only where all are gaps
    return np.add.reduceat(steps, edges) / np.diff(edges, append=len(steps)), largest


def _columns_of(n: int, limit: int) -> NDArray[np.int64]:
    return np.arange(n, dtype=np.int64) // max(math.ceil(n / limit), 1)


def chosen(live: Live, limit: int = COLUMNS) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(column, block) of every block that was chosen within a column of the heat map, each pair once."""
    block = live.steps["block"].to_numpy(dtype=np.float64)
    told = np.isfinite(block)
    pairs = np.stack([_columns_of(len(block), limit)[told], block[told].astype(np.int64)], axis=1)
    unique = np.unique(pairs, axis=0)
    return unique[:, 0], unique[:, 1]


def blocks(live: Live) -> NDArray[np.int64]:
    """How often each block was chosen, (blocks,)."""
    if "block" not in live.steps:
        return np.zeros(0, dtype=np.int64)
    told = live.steps["block"].dropna().astype(np.int64).to_numpy()
    return np.bincount(told, minlength=live.sensitivity.shape[1])


def margins(sensitivity: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the largest S leads over the second, (steps,) in percent of the largest (A7, A9)."""
    if sensitivity.shape[1] <= 1:
        return np.full(len(sensitivity), np.nan)
    second, first = np.sort(sensitivity, axis=1).T[-2:]  # NaN sorts last: a gap stays one
    with np.errstate(invalid="ignore", divide="ignore"):
        lead = 100 * (first - second) / first
    return np.where(np.isfinite(lead), lead, np.nan)


def shifts(steps: pd.DataFrame, beta: float) -> pd.DataFrame:
    """How far DPO moved the log-probabilities of both sides from the untouched model's, in nats per text.

    A reward is beta times just that, measured on the same texts; batches themselves differ too much.
    """
    return pd.DataFrame(
        {
            "step": steps["step"],
            "chosen": steps["reward_good"] / beta,
            "rejected": steps["reward_bad"] / beta,
        }
    )


def alarm(steps: pd.DataFrame, beta: float) -> str:
    """A sentence when DPO buys its accuracy by pushing the chosen side down too (D); empty when not."""
    if "reward_good" not in steps or len(steps) < 4:  # noqa: PLR2004
        return ""
    n = min(ALARM_STEPS, len(steps) // 2)
    moved, now = shifts(steps, beta)["chosen"].tail(n).mean(), steps["logprob_good"].tail(n).mean()
    before = now - moved  # of the untouched model, on the same texts
    accuracy, first = steps["accuracy"].tail(n).mean(), steps["accuracy"].head(n).mean()
    fall = -moved / abs(before) if before else 0.0
    if not (fall > ALARM_FALL and accuracy > first):
        return ""
    return (
        "Chosen and rejected responses both lose probability: the log-probability of the chosen ones fell "
        f"by {100 * fall:.0f} % of its size since step 0, while accuracy rose from {100 * first:.0f} % to "
        f"{100 * accuracy:.0f} %. Texts may become repetitive; look at the samples, lower the learning rate "
        "or raise beta."
    )


def gaps(steps: pd.DataFrame) -> str:
    """A sentence about steps whose loss or gradient was not finite; empty when all were."""
    if not len(steps):
        return ""
    bad = steps["loss"].isna()
    if "grad_norm" in steps:
        bad |= steps["grad_norm"].isna()
    found = [f"{int(step):,}" for step in steps.loc[bad, "step"]]
    if not found:
        return ""
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""  # noqa: PLR2004
    return (
        f"The loss or its gradient was not finite at step {', '.join(found[:5])}{more}: the charts show a "
        "gap there, and that step moved no weight. Lower the learning rate, or look for broken texts."
    )


def first_moves(steps: pd.DataFrame) -> str:
    """At which step each block moved for the first time: RMSprop's first step is ten times larger (A9)."""
    if "cold" not in steps or "block" not in steps:
        return ""
    found = steps[(steps["cold"] == True) & steps["block"].notna()]  # noqa: E712  (NaN is not true)
    if not len(found):
        return ""
    words = [f"{int(b)} at step {int(s):,}" for s, b in zip(found["step"], found["block"], strict=True)]
    return f"First move of a block, ten times larger than later ones: block {', '.join(words)}."


def patience(validation: pd.DataFrame) -> str:
    """How many looks since the best one, of how many the run waits: "3 of 30"."""
    if not len(validation) or "patience" not in validation:
        return ""
    newest = validation.iloc[-1]
    of = newest.get("patience_of")
    return f"{int(newest['patience'])}" + (f" of {int(of)}" if of is not None and of == of else "")


def recent(steps: pd.DataFrame, name: str) -> float | None:
    """The median of a speed over the latest steps, None where it is not told."""
    if name not in steps or not steps[name].notna().any():
        return None
    return float(steps[name].tail(RECENT).median())


def side_by_side(live: Live) -> pd.DataFrame:
    """Samples of the first and of the latest look: prompt, before, now, scores; the worst before first."""
    if not live.samples:
        return pd.DataFrame(columns=["prompt", "before", "toxicity before", "now", "toxicity now"])
    (_, first), (_, latest) = live.samples[0], live.samples[-1]
    pairs = zip(first, latest, strict=False)  # the panel is fixed: the same prompts in the same order
    frame = pd.DataFrame(
        [
            {
                "prompt": str(old["prompt"]),
                "before": str(old["text"]),
                "toxicity before": old.get("toxicity"),
                "now": str(new["text"]) if len(live.samples) > 1 else "",
                "toxicity now": new.get("toxicity") if len(live.samples) > 1 else None,
            }
            for old, new in pairs
        ]
    )
    return frame.sort_values("toxicity before", ascending=False, kind="stable", ignore_index=True)
