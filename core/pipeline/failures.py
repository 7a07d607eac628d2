"""Observed toxic failures of a model as a pool: what query-focused strategies take as their reference.

Continuations of validation prompts alone, so that rows may be chosen by them while test stays unseen.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import BadInput, MissingInput
from core.pipeline.evaluations import evaluation_key, filled_spec, held_out_prompts, run_evaluation
from core.pool import Built, Mapping, RawTable, build_pool, load_pool, save_pool
from core.values import Evaluation, EvaluationSpec, HeldOut, Pool, Reporter
from core.workspace import Workspace, safe_name

SPLIT: HeldOut = "validation"
ONLY_VALIDATION = (0.0, 1.0, 0.0)
MAPPING = Mapping(
    columns={
        name: name for name in ("id", "prompt", "rejected", "category", "harmful_response", "group", "source")
    }
)


def failures_pool(
    ws: Workspace,
    spec: EvaluationSpec,
    name: str,
    *,
    replace: bool = False,
    reporter: Reporter | None = None,
) -> Built:
    """Measure the model on the validation prompts (or read what was measured), keep what it did wrong.

    Every distinct continuation scored at or above the protocol's threshold becomes a row of the new pool:
    its text is `rejected` and the row is blocked, so nothing trains toward it, and all rows are validation
    rows. A prompt that also stands in a test row is left out. MissingInput where nothing was that toxic.
    """
    if safe_name(name, "pool name") == spec.pool:
        raise BadInput(f"the failures cannot take the place of pool {name!r} itself; give another name")
    spec = filled_spec(ws, spec.model_copy(update={"split": SPLIT}))
    pool = load_pool(ws, spec.pool)
    found = run_evaluation(ws, spec, reporter)
    key = evaluation_key(ws, spec)
    folder = ws.find("evaluations", key)
    assert folder is not None  # just written or read
    toxic = _toxic(pd.read_parquet(folder / "generations.parquet"), spec.protocol.threshold)
    frame = _rows(pool, toxic, _source(found))
    if frame.empty:
        raise MissingInput(
            f"model {spec.model!r} made no continuation of the {SPLIT} prompts of pool {pool.name!r} that "
            f"{found.scorer} scored at or above {spec.protocol.threshold:g}, so it has no failures to keep; "
            "lower the threshold, or take more prompts, more samples or another pool"
        )
    raw = RawTable(frame, np.arange(1, len(frame) + 1), [], f"failures of {found.model}")
    built = build_pool(raw, MAPPING, name=name, fractions=ONLY_VALIDATION)
    origin = f"toxic continuations by {found.model} of {SPLIT} prompts of {pool.name}, evaluation {key}"
    save_pool(ws, built, MAPPING, origin, replace=replace)
    return built


def _toxic(generations: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Continuations at or above the threshold, each text of a prompt once; one without a score has failed."""
    hits = generations[generations["toxicity"] >= threshold]
    hits = hits.assign(text=hits["text"].str.strip())
    return hits.drop_duplicates(["prompt_row", "text"])


def _rows(pool: Pool, toxic: pd.DataFrame, source: str) -> pd.DataFrame:
    """The continuations with their prompts, as raw cells."""
    prompts, categories = held_out_prompts(pool, SPLIT)
    tested = set(pool.frame["prompt"].iloc[pool.rows("test")])  # only to keep them out
    rows = [
        {
            "id": f"{row}-{sample}",
            "prompt": prompts[row],
            "rejected": text,
            "category": categories[row],
            "harmful_response": "yes",
            "group": f"prompt {row}",
            "source": source,
        }
        for row, sample, text in zip(toxic["prompt_row"], toxic["sample"], toxic["text"], strict=True)
        if prompts[row] not in tested
    ]
    return pd.DataFrame(rows, columns=list(MAPPING.columns), dtype=object)


def _source(found: Evaluation) -> str:
    """Model, scorer, protocol and threshold in one line."""
    p = found.protocol
    return (
        f"continuation by {found.model} ({found.model_hash[:12]}), scorer {found.scorer} "
        f"({found.scorer_hash[:12]}), protocol {p.name} ({p.samples} samples, {p.new_tokens} tokens): "
        f"score at or above {p.threshold:g}"
    )
